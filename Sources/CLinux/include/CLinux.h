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
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
/// What a read would give, left where it is.
static inline long sys_peek(int fd, uintptr_t buffer, size_t count) {
    return recv(fd, (void *)buffer, count, MSG_PEEK);
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
/// accept4, non-blocking and close-on-exec. GNU extensions live in CLinux.c, because defining
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
/// Bytes sent that the peer has not acknowledged; -1: unknown.
static inline int sys_unacknowledged(int fd) {
    int count = 0;
    return ioctl(fd, TIOCOUTQ, &count) == 0 ? count : -1;
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

/// Sends bytes with `n` descriptors (at most 253, the kernel's SCM_MAX_FD) attached to the first of them.
static inline long sys_send_descriptors(int fd, uintptr_t buffer, size_t count, uintptr_t descriptors, int n) {
    struct iovec part = {(void *)buffer, count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];
    if (n > 0) {
        if (n > 253) { errno = EINVAL; return -1; }
        memset(control, 0, sizeof control);
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
        memcpy(CMSG_DATA(head), (const void *)descriptors, (size_t)n * sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}
/// Receives bytes and the descriptors that came with them, close-on-exec. `descriptors` has room for
/// 254 ints: the first becomes how many follow.
static inline long sys_recv_descriptors(int fd, uintptr_t buffer, size_t count, uintptr_t descriptors) {
    struct iovec part = {(void *)buffer, count};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int *out = (int *)descriptors;
    out[0] = 0;
    long n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (n < 0) return n;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
        int arrived = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        if (arrived > 253 - out[0]) arrived = 253 - out[0];
        memcpy(out + 1 + out[0], CMSG_DATA(head), (size_t)arrived * sizeof(int));
        out[0] += arrived;
    }
    return n;
}
/// Who is at the other end of a Unix socket: its process in the high half, its user in the low half; 0 if unknown.
uint64_t sys_peer_credentials(int fd);
/// Binds (`listening`) or connects a stream socket at `path`, which the caller checked to be short enough.
static inline int sys_unix_address(int fd, const char *path, int listening) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) { errno = ENAMETOOLONG; return -1; }
    strcpy(address.sun_path, path);
    return listening ? bind(fd, (struct sockaddr *)&address, sizeof address)
                     : connect(fd, (struct sockaddr *)&address, sizeof address);
}
/// A descriptor that becomes readable when the process ends (Linux 5.3); -1 where the kernel lacks it.
static inline int sys_pidfd_open(int pid) { return (int)syscall(434, pid, 0); }
static inline int sys_poll_many(uintptr_t entries, size_t count, int milliseconds) {
    return poll((struct pollfd *)entries, (nfds_t)count, milliseconds);
}
/// What `lstat` or `stat` says of a path, in fields of our own: the system's struct belongs to whichever imported
/// module declares it first.
struct sys_file {
    uint32_t mode;
    uint32_t user;
    uint64_t names;
};

/// 0, or -1 with errno set. `follows`: through symbolic links.
static inline int sys_file_at(const char *path, int follows, struct sys_file *file) {
    struct stat info;
    int failed = follows ? stat(path, &info) : lstat(path, &info);
    if (failed != 0) return -1;
    file->mode = info.st_mode;
    file->user = info.st_uid;
    file->names = info.st_nlink;
    return 0;
}

/// The next pending signal of `sys_signals_as_descriptor`'s set; 0 when there is none.
static inline int sys_signalfd_next(int fd) {
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}
/// Exit status of `pid` in waitpid's encoding, or -1 while it runs.
static inline int sys_reap(int pid) {
    int status = 0;
    return waitpid(pid, &status, WNOHANG) == pid ? status : -1;
}
/// Blocks the signals whose bits are set (bit n: signal n) and gives them as a descriptor instead.
static inline int sys_signals_as_descriptor(uint64_t signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int n = 1; n < 64; n++)
        if (signals >> n & 1) sigaddset(&set, n);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}
static inline void sys_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }
/// Starts `path` in a session of its own, with default signals, standard input from /dev/null and
/// `inherited` as descriptor 3, and no other descriptor but the standard ones. Its process id, or a negative errno.
int sys_spawn(const char *path, char *const arguments[], int inherited);
/// A socket address from network-order parts; its length in bytes. `scope` of IPv6 is 0.
static inline uint32_t sys_make_address4(struct sockaddr_storage *out, uint32_t address, uint16_t port) {
    struct sockaddr_in value = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(address)}};
    memset(out, 0, sizeof *out);
    memcpy(out, &value, sizeof value);
    return sizeof value;
}
static inline uint32_t sys_make_address6(struct sockaddr_storage *out, uint64_t high, uint64_t low, uint16_t port) {
    struct sockaddr_in6 value = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    for (int i = 0; i < 8; i++) {
        value.sin6_addr.s6_addr[i] = (uint8_t)(high >> (56 - 8 * i));
        value.sin6_addr.s6_addr[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
    memset(out, 0, sizeof *out);
    memcpy(out, &value, sizeof value);
    return sizeof value;
}
/// The local port of a bound IPv4 or IPv6 socket, or 0.
static inline int sys_local_port(int fd) {
    struct sockaddr_storage address;
    if (sys_getsockname(fd, &address) != 0) return 0;
    if (address.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}
static inline int sys_inotify_flags(void) { return IN_NONBLOCK | IN_CLOEXEC; }
/// The n-th `NAME=value` of the environment, or NULL past the last.
const char *sys_environment(long n);
/// How many CPUs this process may run on.
int sys_available_processors(void);

/// Closing `fd` resets the connection instead of ending it in order.
static inline int sys_reset_on_close(int fd) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    return setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

// Bytes from socket to socket through a pipe, inside the kernel. None of these waits.
long sys_splice(int from, int to, size_t count);
/// Reading end first, writing end second.
int sys_pipe(int *ends);
/// Bytes the pipe holds from now on; -1: it may not grow so far.
int sys_set_pipe_size(int fd, int bytes);

/// One datagram: how long it is, who sent it (or gets it), and which of our addresses it came to.
/// IPv4 addresses are in the low 32 bits of `low`.
typedef struct {
    uint64_t high, low;
    uint64_t localHigh, localLow;
    uint32_t length;
    uint16_t port;
    uint8_t isIPv6;
    /// `localHigh` and `localLow` are known: the socket is bound to any address.
    uint8_t hasLocal;
} sys_datagram;
/// Most datagrams in one call.
enum { SYS_DATAGRAMS = 32 };
/// Reads up to `count` datagrams, each into its slot of `stride` bytes; `facts` has as many `sys_datagram`.
int sys_recv_datagrams(int fd, uintptr_t slots, size_t stride, uintptr_t facts, int count);
/// Sends slots of the lengths in `facts`, all to one peer; `to` NULL: the one the socket is connected to.
int sys_send_datagrams(int fd, uintptr_t slots, size_t stride, uintptr_t facts, int count, const sys_datagram *to);
/// Has `sys_recv_datagrams` tell the local address of each datagram.
int sys_tell_local_address(int fd, int isIPv6);

/// Lets this process open as many descriptors as it may ask for; how many that are, or -1.
static inline int64_t sys_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
    return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
}

static inline int sys_duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

/// Two ranges in one write; the second may be empty.
static inline long sys_write2(int fd, uintptr_t first, size_t firstCount, uintptr_t second, size_t secondCount) {
    struct iovec parts[2] = {{(void *)first, firstCount}, {(void *)second, secondCount}};
    return writev(fd, parts, secondCount ? 2 : 1);
}
/// Waits for one descriptor; `milliseconds` -1: for ever. 1 ready, 0 time is up, -1 error.
static inline int sys_poll_one(int fd, short events, int milliseconds) {
    struct pollfd entry = {.fd = fd, .events = events};
    return poll(&entry, 1, milliseconds);
}
static inline int sys_is_regular_file(int fd) {
    struct stat facts;
    return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
}
/// A thread with every signal blocked, so that signals go to the threads that expect them.
int sys_thread_start(pthread_t *thread, void *(*body)(void *), void *argument, const char *name);
/// A moment in local time; `month` from 0, `offset` in seconds east of UTC.
struct sys_civil { int year, month, day, hour, minute, second; long offset; };
static inline struct sys_civil sys_local_time(int64_t seconds) {
    time_t at = (time_t)seconds;
    struct tm t;
    if (!localtime_r(&at, &t)) return (struct sys_civil){1970, 0, 1, 0, 0, 0, 0};
    return (struct sys_civil){t.tm_year + 1900, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, t.tm_gmtoff};
}
/// Whether the kernel can do TLS on a socket: one that is not connected is refused for that reason alone.
static inline int sys_has_kernel_tls(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    int result = setsockopt(fd, IPPROTO_TCP, 31 /* TCP_ULP */, "tls", 3);
    int supported = result == 0 || errno == ENOTCONN;
    close(fd);
    return supported;
}
