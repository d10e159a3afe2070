// OpenSSL for Swift. Macros and variadic functions are wrapped one to one; no logic.
#pragma once
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

typedef int (*seaway_servername_callback)(SSL *, int *, void *);

static inline void seaway_set_servername(SSL_CTX *ctx, seaway_servername_callback callback, void *argument) {
    SSL_CTX_set_tlsext_servername_callback(ctx, callback);
    SSL_CTX_set_tlsext_servername_arg(ctx, argument);
}
static inline long seaway_set_ticket_keys(SSL_CTX *ctx, void *keys, long count) {
    return SSL_CTX_set_tlsext_ticket_keys(ctx, keys, count);
}
static inline void seaway_set_modes(SSL_CTX *ctx) {
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // One recv per record instead of two: its header and its body come together.
    SSL_CTX_set_read_ahead(ctx, 1);
}
static inline void seaway_set_options(SSL_CTX *ctx, int kernel_tls) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA | (kernel_tls ? SSL_OP_ENABLE_KTLS : 0));
}
static inline int seaway_set_versions(SSL_CTX *ctx, int minimum, int maximum) {
    return SSL_CTX_set_min_proto_version(ctx, minimum) && SSL_CTX_set_max_proto_version(ctx, maximum);
}
static inline void seaway_set_session_cache(SSL_CTX *ctx, int on) {
    SSL_CTX_set_session_cache_mode(ctx, on ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
}
static inline int seaway_set_host_name(SSL *ssl, const char *name) { return (int)SSL_set_tlsext_host_name(ssl, name); }
static inline BIO *seaway_memory_bio(const void *bytes, int count) { return BIO_new_mem_buf(bytes, count); }
static inline EVP_PKEY *seaway_generate_p256(void) { return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"); }
static inline long seaway_add_chain(SSL_CTX *ctx, X509 *certificate) { return SSL_CTX_add0_chain_cert(ctx, certificate); }
static inline void seaway_set_groups(SSL_CTX *ctx, const char *groups) { SSL_CTX_set1_groups_list(ctx, groups); }
