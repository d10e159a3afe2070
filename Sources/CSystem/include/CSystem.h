// System calls for Swift. Thin wrappers, no logic: each is one call, so that macros and
// variadic functions can be imported. Pointers cross as addresses whose bounds the caller checked.
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static inline int sys_errno(void) { return errno; }

static inline long sys_recv(int fd, uintptr_t buffer, size_t count) {
    return recv(fd, (void *)buffer, count, 0);
}
static inline long sys_send(int fd, uintptr_t buffer, size_t count) {
    return send(fd, (const void *)buffer, count, MSG_NOSIGNAL);
}
static inline long sys_send_more(int fd, uintptr_t buffer, size_t count) {
    return send(fd, (const void *)buffer, count, MSG_NOSIGNAL | MSG_MORE);
}
/// Two ranges in one call: a head and the start of its body.
static inline long sys_send2(int fd, uintptr_t first, size_t firstCount, uintptr_t second, size_t secondCount) {
    struct iovec parts[2] = {{(void *)first, firstCount}, {(void *)second, secondCount}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}
static inline long sys_read(int fd, uintptr_t buffer, size_t count) { return read(fd, (void *)buffer, count); }
static inline long sys_write(int fd, uintptr_t buffer, size_t count) { return write(fd, (const void *)buffer, count); }
static inline int sys_open(const char *path, int flags, int mode) { return open(path, flags, mode); }
static inline int sys_close(int fd) { return close(fd); }

/// struct epoll_event with the union's integer only, so that Swift sees no pointer in it.
#ifdef __x86_64__
typedef struct __attribute__((packed)) { uint32_t events; uint64_t data; } sys_event;
#else
typedef struct { uint32_t events; uint64_t data; } sys_event;
#endif
_Static_assert(sizeof(sys_event) == sizeof(struct epoll_event), "sys_event must match epoll_event");
static inline int sys_epoll_wait(int epoll, uintptr_t events, int count, int milliseconds) {
    return epoll_wait(epoll, (struct epoll_event *)events, count, milliseconds);
}
static inline int sys_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
/// Registers `fd` once; `data` comes back with each event.
static inline int sys_epoll_add(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data = {.u64 = data}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}
static inline int sys_epoll_modify(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data = {.u64 = data}};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}
static inline int sys_epoll_remove(int epoll, int fd) { return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL); }

static inline int sys_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
static inline int sys_eventfd_signal(int fd) { return eventfd_write(fd, 1); }
static inline uint64_t sys_eventfd_drain(int fd) { eventfd_t v = 0; eventfd_read(fd, &v); return v; }

static inline int sys_socket(int family, int type) { return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }
/// accept4, non-blocking and close-on-exec. GNU extensions live in CSystem.c, because defining
/// _GNU_SOURCE here would give Swift a second idea of glibc's types.
int sys_accept(int fd, struct sockaddr_storage *address);
/// Binds the calling thread to one core.
int sys_pin_to_core(int core);
static inline int sys_connect(int fd, const struct sockaddr_storage *address, uint32_t length) {
    return connect(fd, (const struct sockaddr *)address, (socklen_t)length);
}
static inline int sys_bind(int fd, const struct sockaddr_storage *address, uint32_t length) {
    return bind(fd, (const struct sockaddr *)address, (socklen_t)length);
}
static inline int sys_listen(int fd, int backlog) { return listen(fd, backlog); }
static inline int sys_getsockname(int fd, struct sockaddr_storage *address) {
    socklen_t length = sizeof *address;
    return getsockname(fd, (struct sockaddr *)address, &length);
}
static inline int sys_shutdown_write(int fd) { return shutdown(fd, SHUT_WR); }
static inline int sys_set_option(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value);
}
static inline int sys_socket_error(int fd) {
    int error = 0; socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
    return error;
}
static inline int sys_set_nonblocking(int fd) { return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }
static inline int sys_set_cloexec(int fd, int on) { return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0); }

static inline int64_t sys_monotonic_nanoseconds(void) {
    struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static inline int64_t sys_realtime_nanoseconds(void) {
    struct timespec t; clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static inline int sys_memcmp(uintptr_t a, uintptr_t b, size_t count) { return memcmp((const void *)a, (const void *)b, count); }
/// Offset of `byte`, or -1.
static inline long sys_memchr(uintptr_t base, int byte, size_t count) {
    const char *at = (const char *)memchr((const void *)base, byte, count);
    return at ? (long)(at - (const char *)base) : -1;
}
static inline int sys_duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

/// Two ranges in one write; the second may be empty.
static inline long sys_write2(int fd, uintptr_t first, size_t firstCount, uintptr_t second, size_t secondCount) {
    struct iovec parts[2] = {{(void *)first, firstCount}, {(void *)second, secondCount}};
    return writev(fd, parts, secondCount ? 2 : 1);
}
/// Waits for one descriptor; `milliseconds` -1: for ever. 1 ready, 0 time is up, -1 error.
static inline int sys_poll(int fd, short events, int milliseconds) {
    struct pollfd entry = {.fd = fd, .events = events};
    return poll(&entry, 1, milliseconds);
}
static inline int sys_is_regular_file(int fd) {
    struct stat facts;
    return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
}
/// A thread with every signal blocked, so that signals go to the threads that expect them.
static inline int sys_thread_start(pthread_t *thread, void *(*body)(void *), void *argument, const char *name) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, body, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) pthread_setname_np(*thread, name);
    return error;
}
/// A moment in local time; `month` from 0, `offset` in seconds east of UTC.
struct sys_civil { int year, month, day, hour, minute, second; long offset; };
static inline struct sys_civil sys_local_time(int64_t seconds) {
    time_t at = (time_t)seconds;
    struct tm t;
    if (!localtime_r(&at, &t)) return (struct sys_civil){1970, 0, 1, 0, 0, 0, 0};
    return (struct sys_civil){t.tm_year + 1900, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, t.tm_gmtoff};
}
