// What the load tools share: the clock, a histogram of latencies, the bytes of every answer, and sockets.
#ifndef MEASURE_H
#define MEASURE_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#define UNUSED __attribute__((unused))

enum { BUCKETS = 64 * 32, PATTERN = 1 << 20 };

static unsigned long long histogram[BUCKETS];
// Answers repeat sixteen bytes, so any part of one is found here by its place modulo sixteen.
static char pattern[PATTERN + 16];

UNUSED static void fill_pattern(void) {
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = "0123456789abcdef"[i % 16];
}

// Whether `n` bytes at `place` of an answer are what they should be.
UNUSED static int as_expected(const void *data, size_t n, size_t place) {
    const char *at = data;
    while (n) {
        size_t part = n < PATTERN ? n : PATTERN;
        if (memcmp(at, pattern + place % 16, part)) return 0;
        at += part, place += part, n -= part;
    }
    return 1;
}

UNUSED static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// A log-linear histogram: 32 steps for each power of two of nanoseconds, so within 3 % everywhere.
UNUSED static void record(long long ns) {
    if (ns < 32) ns = 32;
    int power = 63 - __builtin_clzll((unsigned long long)ns);
    histogram[power * 32 + ((ns >> (power - 5)) & 31)]++;
}

// Microseconds that the share `q` of the recorded times did not exceed; 0 when there are none.
UNUSED static double quantile(double q) {
    unsigned long long total = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++) total += histogram[i];
    for (int i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (total && (double)seen >= q * (double)total) {
            int power = i / 32;
            return (double)((1LL << power) + ((long long)(i % 32) << (power - 5))) / 1000;
        }
    }
    return 0;
}

UNUSED static void many_files(void) {
    struct rlimit files = {65536, 65536};
    if (setrlimit(RLIMIT_NOFILE, &files)) {
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

// A socket on its way to 127.0.0.1:`port`, or -1 with errno set.
UNUSED static int begin_connect(int port) {
    static unsigned turn;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // Many source addresses: closed connections that wait would use up the ports of one.
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % 100)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)&from, sizeof from)) return close(fd), -1;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) return close(fd), -1;
    return fd;
}

// A listening socket on 127.0.0.1:`port`; ends the program when there is none to have.
UNUSED static int begin_listen(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("listen");
        exit(1);
    }
    return listener;
}

UNUSED static int accept_one(int listener) {
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

// Asks for `wanted` events of `fd`; `*interest` holds what is asked for now, 0 before the first time.
UNUSED static void watch_fd(int epoll, int fd, int *interest, int wanted, void *owner) {
    if (*interest == wanted) return;
    struct epoll_event e = {.events = (uint32_t)wanted, .data.ptr = owner};
    epoll_ctl(epoll, *interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
    *interest = wanted;
}
#endif
