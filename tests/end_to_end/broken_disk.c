/* A disk that fills up or turns read-only while a program runs, for tests: preloaded between the program and libc.
 *
 * Only what lies below BROKEN_DISK_ROOT is touched, and only while a file named `full` or `read-only` stands in
 * BROKEN_DISK_SWITCH. Full: what would make a regular file longer fails with ENOSPC; new, empty files are still made
 * and old pages still rewritten, as on a real one. Read-only: everything that changes anything fails with EROFS.
 * Works for root, needs no mount, breaks at the moment the test chooses and heals when it says so.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES(flags) (((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0)

static int is(const char *how) {
    const char *folder = getenv("BROKEN_DISK_SWITCH");
    char path[PATH_MAX];
    struct stat found;
    if (!folder || snprintf(path, sizeof path, "%s/%s", folder, how) >= (int)sizeof path) return 0;
    int before = errno, on = stat(path, &found) == 0;
    errno = before;
    return on;
}

static int below(const char *path) {
    const char *root = getenv("BROKEN_DISK_ROOT");
    size_t length = root ? strlen(root) : 0;
    return length && strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int fd_below(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}

static int path_below(int dir, const char *path) {
    char whole[PATH_MAX];
    if (path[0] == '/') return below(path);
    if (dir == AT_FDCWD) return getcwd(whole, sizeof whole) ? below(whole) : 0;
    return fd_below(dir);
}

/* 0, or the error that `count` bytes at `offset` (-1: where the file stands) would meet. */
static int refusal(int fd, off_t offset, size_t count) {
    int full = is("full"), read_only = is("read-only");
    struct stat now;
    if (!(full || read_only) || fstat(fd, &now) || !S_ISREG(now.st_mode) || !fd_below(fd)) return 0;
    if (read_only) return EROFS;
    if (offset < 0) offset = fcntl(fd, F_GETFL) & O_APPEND ? now.st_size : lseek(fd, 0, SEEK_CUR);
    return offset + (off_t)count > now.st_size ? ENOSPC : 0;
}

static size_t total(const struct iovec *parts, int count) {
    size_t sum = 0;
    for (int i = 0; i < count; i++) sum += parts[i].iov_len;
    return sum;
}

#define CHECKED(type, name, arguments, call, fd, offset, count)  \
    type name arguments {                                        \
        int wrong = refusal(fd, offset, count);                  \
        if (wrong) { errno = wrong; return -1; }                 \
        return REAL(name) call;                                  \
    }

CHECKED(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n), fd, -1, n)
CHECKED(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), fd, at, n)
CHECKED(ssize_t, pwrite64, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), fd, at, n)
CHECKED(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), fd, -1, total(v, n))
CHECKED(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), fd, at, total(v, n))
CHECKED(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), fd, at, total(v, n))
CHECKED(ssize_t, sendfile, (int fd, int from, off_t *at, size_t n), (fd, from, at, n), fd, -1, n)

int posix_fallocate(int fd, off_t at, off_t n) {
    int wrong = refusal(fd, at, n);
    return wrong ? wrong : REAL(posix_fallocate)(fd, at, n);
}
int posix_fallocate64(int fd, off_t at, off_t n) { return posix_fallocate(fd, at, n); }

/* open and its kin: the mode is only there when a file may be made. */
#define OPENED(name, dir, path, first, call)                                                     \
    int name first {                                                                             \
        mode_t mode = 0;                                                                         \
        va_list rest;                                                                            \
        va_start(rest, flags);                                                                   \
        if (flags & (O_CREAT | O_TMPFILE)) mode = va_arg(rest, int);                             \
        va_end(rest);                                                                            \
        if (WRITES(flags) && is("read-only") && path_below(dir, path)) { errno = EROFS; return -1; } \
        return REAL(name) call;                                                                  \
    }

OPENED(open, AT_FDCWD, path, (const char *path, int flags, ...), (path, flags, mode))
OPENED(open64, AT_FDCWD, path, (const char *path, int flags, ...), (path, flags, mode))
OPENED(openat, dir, path, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
OPENED(openat64, dir, path, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))

#define CHANGED(name, dir, path, arguments, call)                                                 \
    int name arguments {                                                                          \
        if (is("read-only") && path_below(dir, path)) { errno = EROFS; return -1; }               \
        return REAL(name) call;                                                                   \
    }

CHANGED(mkdir, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
CHANGED(rmdir, AT_FDCWD, path, (const char *path), (path))
CHANGED(unlink, AT_FDCWD, path, (const char *path), (path))
CHANGED(unlinkat, dir, path, (int dir, const char *path, int flags), (dir, path, flags))
CHANGED(rename, AT_FDCWD, to, (const char *from, const char *to), (from, to))
CHANGED(chmod, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
CHANGED(chown, AT_FDCWD, path, (const char *path, uid_t owner, gid_t group), (path, owner, group))
