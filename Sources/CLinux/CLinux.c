#define _GNU_SOURCE
#include "CLinux.h"

int sys_accept(int fd, struct sockaddr_storage *address) {
    socklen_t length = sizeof *address;
    return accept4(fd, (struct sockaddr *)address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int sys_pin_to_core(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

uint64_t sys_peer_credentials(int fd) {
    struct ucred peer; socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return 0;
    return (uint64_t)(uint32_t)peer.pid << 32 | (uint32_t)peer.uid;
}

int sys_spawn(const char *path, char *const arguments[], int inherited) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, inherited, 3);
    posix_spawn_file_actions_addclosefrom_np(&actions, 4);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    pid_t pid = 0;
    int error = posix_spawn(&pid, path, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error == 0 ? (int)pid : -error;
}

int sys_available_processors(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

const char *sys_environment(long n) { return environ ? environ[n] : NULL; }

int sys_thread_start(pthread_t *thread, void *(*body)(void *), void *argument, const char *name) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, body, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) pthread_setname_np(*thread, name);
    return error;
}

long sys_splice(int from, int to, size_t count) {
    return splice(from, NULL, to, NULL, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

int sys_pipe(int *ends) { return pipe2(ends, O_NONBLOCK | O_CLOEXEC); }

int sys_set_pipe_size(int fd, int bytes) { return fcntl(fd, F_SETPIPE_SZ, bytes); }

static void put_address(sys_datagram *out, const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *value = (const struct sockaddr_in6 *)address;
        out->isIPv6 = 1;
        out->port = ntohs(value->sin6_port);
        memcpy(&out->high, value->sin6_addr.s6_addr, 8);
        memcpy(&out->low, value->sin6_addr.s6_addr + 8, 8);
        out->high = __builtin_bswap64(out->high);
        out->low = __builtin_bswap64(out->low);
    } else {
        const struct sockaddr_in *value = (const struct sockaddr_in *)address;
        out->isIPv6 = 0;
        out->port = ntohs(value->sin_port);
        out->high = 0;
        out->low = ntohl(value->sin_addr.s_addr);
    }
}

static void put_local(sys_datagram *out, struct msghdr *message) {
    out->hasLocal = 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(head), sizeof info);
            out->hasLocal = 1;
            out->localHigh = 0;
            out->localLow = ntohl(info.ipi_addr.s_addr);
        } else if (head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(head), sizeof info);
            out->hasLocal = 1;
            memcpy(&out->localHigh, info.ipi6_addr.s6_addr, 8);
            memcpy(&out->localLow, info.ipi6_addr.s6_addr + 8, 8);
            out->localHigh = __builtin_bswap64(out->localHigh);
            out->localLow = __builtin_bswap64(out->localLow);
        }
    }
}

/// Room for either kind of packet information.
#define PACKET_INFORMATION CMSG_SPACE(sizeof(struct in6_pktinfo))

int sys_recv_datagrams(int fd, uintptr_t slots, size_t stride, uintptr_t facts, int count) {
    struct mmsghdr messages[SYS_DATAGRAMS];
    struct iovec parts[SYS_DATAGRAMS];
    struct sockaddr_storage addresses[SYS_DATAGRAMS];
    _Alignas(struct cmsghdr) char control[SYS_DATAGRAMS][PACKET_INFORMATION];
    sys_datagram *out = (sys_datagram *)facts;
    if (count > SYS_DATAGRAMS) count = SYS_DATAGRAMS;
    for (int i = 0; i < count; i++) {
        parts[i] = (struct iovec){(void *)(slots + (size_t)i * stride), stride};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &addresses[i], .msg_namelen = sizeof addresses[i], .msg_iov = &parts[i], .msg_iovlen = 1,
            .msg_control = control[i], .msg_controllen = sizeof control[i]};
    }
    int n = recvmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        out[i].length = messages[i].msg_len;
        put_address(&out[i], &addresses[i]);
        put_local(&out[i], &messages[i].msg_hdr);
    }
    return n;
}

static size_t local_control(struct msghdr *message, const sys_datagram *from) {
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    if (from->isIPv6) {
        struct in6_pktinfo info = {0};
        uint64_t high = __builtin_bswap64(from->localHigh), low = __builtin_bswap64(from->localLow);
        memcpy(info.ipi6_addr.s6_addr, &high, 8);
        memcpy(info.ipi6_addr.s6_addr + 8, &low, 8);
        head->cmsg_level = IPPROTO_IPV6;
        head->cmsg_type = IPV6_PKTINFO;
        head->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(head), &info, sizeof info);
        return CMSG_SPACE(sizeof info);
    }
    struct in_pktinfo info = {.ipi_spec_dst = {.s_addr = htonl((uint32_t)from->localLow)}};
    head->cmsg_level = IPPROTO_IP;
    head->cmsg_type = IP_PKTINFO;
    head->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(head), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

int sys_send_datagrams(int fd, uintptr_t slots, size_t stride, uintptr_t facts, int count, const sys_datagram *to) {
    struct mmsghdr messages[SYS_DATAGRAMS];
    struct iovec parts[SYS_DATAGRAMS];
    struct sockaddr_storage address;
    _Alignas(struct cmsghdr) char control[PACKET_INFORMATION];
    const sys_datagram *in = (const sys_datagram *)facts;
    uint32_t length = 0;
    size_t controlLength = 0;
    if (count > SYS_DATAGRAMS) count = SYS_DATAGRAMS;
    if (to) {
        length = to->isIPv6 ? sys_make_address6(&address, to->high, to->low, to->port)
                            : sys_make_address4(&address, (uint32_t)to->low, to->port);
        if (to->hasLocal) {
            memset(control, 0, sizeof control);
            struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
            controlLength = local_control(&message, to);
        }
    }
    for (int i = 0; i < count; i++) {
        parts[i] = (struct iovec){(void *)(slots + (size_t)i * stride), in[i].length};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = to ? &address : NULL, .msg_namelen = length, .msg_iov = &parts[i], .msg_iovlen = 1,
            .msg_control = controlLength ? control : NULL, .msg_controllen = controlLength};
    }
    return sendmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int sys_tell_local_address(int fd, int isIPv6) {
    int on = 1;
    return isIPv6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on)
                  : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
}
