/* Put before the engine by ``gcc -include``: the Nth call of a kind fails, and others are slow.

   A macro does not expand itself again, so each may call what it stands for. */

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The call that fails or is slow; the first that fails, how many there are between two, 0 for one alone; its errno. */
static char fault_kind[32], fault_slow[32];
static int fault_first, fault_every, fault_errno, fault_microseconds;

/* How many calls are still to be slow. */
int fault_slow_calls;

/* How many calls of the kind there were. */
int fault_calls;

void fault_begin(const char *kind, int first, int every, int number)
{
    strncpy(fault_kind, kind, sizeof fault_kind - 1);
    fault_first = first;
    fault_every = every;
    fault_errno = number;
    fault_calls = 0;
}

/* ``calls``: how many are slow; 0 for all. */
void fault_slow_down(const char *kind, int microseconds, int calls)
{
    strncpy(fault_slow, kind, sizeof fault_slow - 1);
    fault_microseconds = microseconds;
    fault_slow_calls = calls ? calls : INT_MAX;
}

/* The engine's own threads alone are slow, not Python's, and only as long as their kind of call is to be slow. */
static inline void fault_wait(const char *kind)
{
    if (strcmp(kind, fault_slow) != 0 || gettid() == getpid()
        || __atomic_fetch_sub(&fault_slow_calls, 1, __ATOMIC_SEQ_CST) <= 0)
        return;
    for (int left = fault_microseconds; left > 0 && strcmp(kind, fault_slow) == 0; left -= 10000)
        usleep((useconds_t)(left < 10000 ? left : 10000));
}

static inline int fault_fails(const char *kind)
{
    fault_wait(kind);
    if (strcmp(kind, fault_kind) != 0)
        return 0;
    int beyond = __atomic_add_fetch(&fault_calls, 1, __ATOMIC_SEQ_CST) - fault_first;
    if (beyond < 0 || (fault_every ? beyond % fault_every != 0 : beyond != 0))
        return 0;
    errno = fault_errno;
    return 1;
}

/* A call is made, and slow after it: what it returns is old by the time that it is used. */
static inline int fault_after(const char *kind, int result)
{
    int error = errno;
    fault_wait(kind);
    errno = error;
    return result;
}

static inline const char *fault_number(long number)
{
    return number == SYS_waitid ? "waitid" : "pidfd_open";
}

#define pipe2(...) (fault_fails("pipe2") ? -1 : pipe2(__VA_ARGS__))
#define vfork() (fault_fails("vfork") ? -1 : vfork())
#define read(...) (fault_fails("read") ? -1 : read(__VA_ARGS__))
#define write(...) (fault_fails("write") ? -1 : write(__VA_ARGS__))
#define fcntl(...) (fault_fails("fcntl") ? -1 : fcntl(__VA_ARGS__))
#define poll(...) (fault_fails("poll") ? -1 : poll(__VA_ARGS__))
#define epoll_create1(...) (fault_fails("epoll_create1") ? -1 : epoll_create1(__VA_ARGS__))
#define epoll_ctl(...) (fault_fails("epoll_ctl") ? -1 : epoll_ctl(__VA_ARGS__))
#define epoll_wait(...) (fault_fails("epoll_wait") ? -1 : fault_after("epoll_waited", epoll_wait(__VA_ARGS__)))
#define eventfd(...) (fault_fails("eventfd") ? -1 : eventfd(__VA_ARGS__))
#define mmap(...) (fault_fails("mmap") ? MAP_FAILED : mmap(__VA_ARGS__))
#define syscall(number, ...) (fault_fails(fault_number(number)) ? -1 : syscall(number, __VA_ARGS__))
#define waitpid(...) (fault_fails("waitpid") ? -1 : waitpid(__VA_ARGS__))
#define dup2(...) (fault_fails("dup2") ? -1 : dup2(__VA_ARGS__))
#define execve(...) (fault_fails("execve") ? -1 : execve(__VA_ARGS__))
#define malloc(...) (fault_fails("malloc") ? NULL : malloc(__VA_ARGS__))
#define realloc(...) (fault_fails("realloc") ? NULL : realloc(__VA_ARGS__))
#define pthread_create(...) (fault_fails("pthread_create") ? fault_errno : pthread_create(__VA_ARGS__))
#ifdef Py_BuildValue /* until 3.12 a macro itself */
#undef Py_BuildValue
#define Py_BuildValue(...) (fault_fails("Py_BuildValue") ? PyErr_NoMemory() : _Py_BuildValue_SizeT(__VA_ARGS__))
#else
#define Py_BuildValue(...) (fault_fails("Py_BuildValue") ? PyErr_NoMemory() : Py_BuildValue(__VA_ARGS__))
#endif
#define PyList_Append(...) (fault_fails("PyList_Append") ? (PyErr_NoMemory(), -1) : PyList_Append(__VA_ARGS__))
