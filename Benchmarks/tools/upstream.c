// The upstream of the HTTP/1 benchmarks: one thread, one epoll, canned answers, so that it costs as little as can be.
//
//     upstream PORT
//
// A path that ends in "/1m" is answered with 1 MiB, "/100m" with 100 MiB, "/hold" with a head whose body never comes, any
// other with 128 bytes; all of the pattern that the load tools check.
#define _GNU_SOURCE
#include <signal.h>

#include "measure.h"

enum { SMALL = 128, HEAD_MAX = 16384 };

// A canned answer: `head` holds the head and the body's first bytes, the rest of the body comes from the pattern.
struct answer {
    const char *ending;
    size_t body, head_bytes, total;
    char head[512];
};

// The last one is for every other path.
static struct answer answers[] = {{.ending = "/1m", .body = 1 << 20}, {.ending = "/100m", .body = 100 << 20},
                                  {.ending = "/hold"}, {.ending = "", .body = SMALL}};
enum { ANSWERS = sizeof answers / sizeof *answers };

struct connection {
    int fd;
    size_t used, waiting, at;
    const struct answer *answer;
    char input[HEAD_MAX];
};

static void make_answer(struct answer *a) {
    int head = a->body
        ? snprintf(a->head, sizeof a->head, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", a->body)
        : snprintf(a->head, sizeof a->head, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
    size_t beginning = a->body < SMALL ? a->body : SMALL;
    memcpy(a->head + head, pattern, beginning);
    a->head_bytes = (size_t)head + beginning;
    a->total = (size_t)head + a->body;
}

static const struct answer *answer_to(const char *target, size_t n) {
    for (size_t i = 0;; i++) {
        size_t ending = strlen(answers[i].ending);
        if (i == ANSWERS - 1 || (n >= ending && !memcmp(target + n - ending, answers[i].ending, ending))) return &answers[i];
    }
}

static void finish(struct connection *c) {
    close(c->fd);
    free(c);
}

// Writes what is due; 0 when the connection is gone.
static int drain(struct connection *c, int epoll) {
    while (c->at < c->waiting) {
        const struct answer *a = c->answer;
        int in_head = c->at < a->head_bytes;
        // The pattern's period divides its length, so the body goes on at any place of the same phase.
        size_t place = in_head ? 0 : (SMALL + c->at - a->head_bytes) % 16;
        size_t left = in_head ? a->head_bytes - c->at : c->waiting - c->at;
        ssize_t n = send(c->fd, in_head ? a->head + c->at : pattern + place, left < PATTERN ? left : PATTERN, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return finish(c), 0;
            struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
            epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
            return 1;
        }
        c->at += (size_t)n;
    }
    c->waiting = c->at = 0;
    return 1;
}

static void serve(struct connection *c, int epoll) {
    for (;;) {
        char *end = c->used >= 4 ? memmem(c->input, c->used, "\r\n\r\n", 4) : NULL;
        if (!end || c->waiting) return;
        char *target = memchr(c->input, ' ', c->used);
        char *after = target ? memchr(target + 1, ' ', (size_t)(end - target - 1)) : NULL;
        c->answer = after ? answer_to(target, (size_t)(after - target)) : &answers[ANSWERS - 1];
        c->waiting = c->answer->total;
        size_t head = (size_t)(end + 4 - c->input);
        memmove(c->input, c->input + head, c->used - head);
        c->used -= head;
        if (!drain(c, epoll)) return;
    }
}

int main(int count, char **arguments) {
    if (count != 2) return fprintf(stderr, "usage: upstream PORT\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    many_files();
    fill_pattern();
    for (size_t i = 0; i < ANSWERS; i++) make_answer(&answers[i]);
    int listener = begin_listen(atoi(arguments[1])), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!c) {
                int fd;
                while ((fd = accept_one(listener)) >= 0) {
                    c = calloc(1, sizeof *c);
                    c->fd = fd;
                    event = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
                    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            if (ready[i].events & EPOLLOUT) {
                if (!drain(c, epoll)) continue;
                if (!c->waiting) {
                    event = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
                    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
                }
            }
            if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                ssize_t got = recv(c->fd, c->input + c->used, HEAD_MAX - c->used, 0);
                if (got == 0 || (got < 0 && errno != EAGAIN) || (got < 0 && c->used == HEAD_MAX)) {
                    finish(c);
                    continue;
                }
                if (got > 0) c->used += (size_t)got;
            }
            serve(c, epoll);
        }
    }
}
