/* The native engine: starts, watches and reaps commands in threads that never hold the interpreter's lock.

   Python hands over chains of commands and collects what has happened. The engine decides only what must not wait for
   Python: which command starts when another has ended, within a limit that Python sets. It knows processes, pipes and
   exit statuses; not what a command is for, nor what follows from its end.

       Python, one loop                         threads of the engine
       submit --chains--> queue --> start: pipes, vfork, pidfd, epoll --> output, exit --+
                                      ^                                                  |
                                      +----------- next of the chain, next of the queue -+
       collect <--events-- one list, one eventfd <---------------------------------------+

   One lock guards everything. A thread lets go of it while it waits and while it starts a process, the two things that
   take long. Python's thread takes it for an instant while it holds the interpreter's lock; no thread of the engine ever
   waits for the interpreter's lock, so the two cannot lock each other out.

   Who owns what: a command belongs to the queue, then to the worker that starts it. The worker frees it, and only
   before it waits for events again: events that it has taken already may point to it. The reference to the Python
   object goes back to Python with the last event of the command, as only Python's thread may count references.

   Built for the limited interface of Python 3.11: one file runs on that version and all later ones. Linux 5.4. */

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* Bytes that a pipe holds, and holds after it was full once: a gigabyte then takes a quarter less time. */
enum { PIPE = 1 << 16, LARGER_PIPE = 1 << 17 };

/* Most bytes read of a pipe when its process has exited: as many as the largest pipe of an unprivileged process holds,
   and so all that was printed before the exit. */
#define LARGEST_PIPE (1 << 20)

/* Most events that one wait returns. */
#define BATCH 64

/* The output of a process is watched once it has lived that long. Trivial commands have exited by then, and what they
   printed is read at their exit, without a wake-up for the end of each pipe. */
#define TICK_MS 2

/* Milliseconds between looks at processes that cannot be watched, and at the exits of an interrupted run whose output
   nobody takes. */
#define PAUSE_MS 5

/* Bytes of a thread's stack: it holds some hundred bytes of each call, and the paths that the kernel copies. */
#define STACK (512 << 10)

/* Most threads of one engine. */
#define MOST_WORKERS 16

/* A row of the guardian's table: process id, name, kind. The kind comes last: until it is written the row is empty. */
enum { ROW = 256, ROW_NAME = 4, ROW_NAME_SIZE = 251, ROW_KIND = 255, KIND_EXEC = 1 };

/* What happened, as ``engine.py`` has it. STDOUT and STDERR are the numbers of the descriptors too. */
enum { STARTED, STDOUT, STDERR, EXITED, CLOSED, REFUSED, RETURNED, BROKEN, DROPPED };

/* Flags of a command, as ``engine.py`` has them: both streams share one pipe; it is in the guardian's table. */
enum { MERGED = 1, LISTED = 2 };

/* Flags of an exit, as ``engine.py`` has them: something may be left; it was interrupted before; a pipe is open. */
enum { LINGERS = 1, INTERRUPTED = 2, OPEN = 4 };

/* The step of a start that failed. */
enum { STEP_RESOURCE, STEP_DIRECTORY, STEP_PROGRAM };

/* What an epoll event tells of, beside the command: in the lowest bits of its address. */
enum { WHAT_EXIT = 0, WHAT_BITS = 3 };

typedef struct command command;
typedef struct worker worker;
typedef struct engine engine;

/* ``last``: no event of this command follows, and the reference to ``process`` goes with it. */
typedef struct event {
    struct event *next;
    PyObject *process;
    int kind, unread;
    bool last;
    long number, more;
    double cpu;
    long long count;
    size_t length;
    char data[];
} event;

/* Events that a command may need beside its output. They are allocated with it, so that none is lost for lack of
   memory: STARTED, EXITED, CLOSED and DROPPED. */
#define SPARES 4

struct command {
    command *next;      /* in the queue, or of its worker's commands that are about to start, or to be freed */
    command *before, *behind; /* of its worker's commands that run or linger, in the order of their starts */
    command *following; /* of its chain */
    PyObject *process;
    event *spares[SPARES];
    int spare_count;
    const char *path, *directory;
    char **arguments;
    char **extra; /* entries for the environment; the first is in no base environment, and has the task's name */
    size_t extra_count;
    int flags;
    bool exited, interrupted, lingers, watched, polled, buried;
    pid_t pid;
    int pidfd;
    int pipes[STDERR + 1]; /* by stream; -1 if closed */
    int room[STDERR + 1];  /* bytes that the pipe holds */
    int unread;            /* errno of a read that failed */
    int row;
    int64_t began, until; /* when it was started; when the next of its chain may start at the latest */
    long recalls;         /* how many there had been when it was handed over */
};

struct worker {
    engine *engine;
    pthread_t thread;
    int epoll, wake;
    bool idle, broken;
    command *first, *last; /* its commands */
    command *fresh;        /* the first of them whose output may not be watched yet */
    command *starting, **starting_end;
    command *graves;
    int polled; /* how many commands, or 1 if the epoll is broken, have to be looked at now and then */
    char **environment;
    size_t environment_room;
};

struct engine {
    PyObject_HEAD
    pthread_mutex_t lock;
    pthread_cond_t quiet; /* no start is under way */
    pid_t owner;          /* a copy of the process made by fork has no threads */
    sigset_t mask;        /* of the commands */
    char **environment;
    size_t environment_count;
    int directory, null;
    mode_t umask;
    int descriptor; /* the eventfd that wakes Python */
    char *table;
    size_t table_size;
    int *rows, row_count;
    worker workers[MOST_WORKERS];
    int worker_count, most_workers, processors;
    command *queue, **queue_end;
    long queued, running, spawning, limit;
    long long credit; /* bytes that may be read before Python has collected more */
    long long credit_full, collected;
    long recalls; /* how often what had not started was taken back */
    bool fail_fast, halted, stalled, paused, interrupted, closing;
    int last_signal; /* sent to all */
    event *events, **events_end;
    bool awake, nudged; /* Python looks by itself, and was woken all the same */
    char buffer[LARGER_PIPE];
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void write_one(int eventfd)
{
    uint64_t one = 1;
    /* It cannot fail but if a snippet has closed it. Then there is no way to wake anything. */
    if (write(eventfd, &one, sizeof one) < 0)
        return;
}

/* ---- Events ---- */

/* Tell Python. ``urgent``: a processor may wait for it. Python looks by itself in quick succession while something
   happens, and is woken for less urgent events only after a pause. */
static void tell(engine *e, event *news, bool urgent)
{
    news->next = NULL;
    *e->events_end = news;
    e->events_end = &news->next;
    if (!e->awake || (urgent && !e->nudged)) {
        e->nudged = e->awake;
        e->awake = true;
        write_one(e->descriptor);
    }
}

/* Tell Python of a command. */
static void tell_of(engine *e, command *c, int kind, long number, long more, bool last, bool urgent)
{
    event *news = c->spares[--c->spare_count];
    *news = (event){.process = c->process, .kind = kind, .number = number, .more = more, .last = last};
    tell(e, news, urgent);
}

/* Return whether processors wait for Python to hand over more. */
static bool is_short_of_work(const engine *e)
{
    return !e->queued && e->running < e->processors;
}

static void free_command(command *c)
{
    while (c->spare_count)
        free(c->spares[--c->spare_count]);
    free(c);
}

/* Free the commands of a chain that never start; their references go to Python. */
static void drop_chain(engine *e, command *c)
{
    while (c) {
        command *following = c->following;
        tell_of(e, c, DROPPED, 0, 0, true, false);
        free_command(c);
        c = following;
    }
}

/* Give a command, the head of what is left of its chain, back to Python: it has not started. */
static void give_back(engine *e, command *c)
{
    drop_chain(e, c->following);
    tell_of(e, c, RETURNED, 0, 0, true, true);
    free_command(c);
}

/* ---- The guardian's table ---- */

/* List a command. The table outlives this process: from here on the guardian ends the command if this process dies. */
static void write_row(engine *e, command *c)
{
    if (!(c->flags & LISTED) || !e->row_count)
        return;
    c->row = e->rows[--e->row_count];
    char *row = e->table + (size_t)c->row * ROW;
    int32_t pid = c->pid;
    memcpy(row, &pid, sizeof pid);
    const char *name = strchr(c->extra[0], '=') + 1;
    size_t length = strnlen(name, ROW_NAME_SIZE);
    memcpy(row + ROW_NAME, name, length);
    memset(row + ROW_NAME + length, 0, ROW_NAME_SIZE - length);
    __atomic_store_n(row + ROW_KIND, KIND_EXEC, __ATOMIC_RELEASE);
}

/* Before the process is reaped: after that its number may become another process's. */
static void clear_row(engine *e, command *c)
{
    if (c->row >= 0) {
        __atomic_store_n(e->table + (size_t)c->row * ROW + ROW_KIND, 0, __ATOMIC_RELEASE);
        e->rows[e->row_count++] = c->row;
        c->row = -1;
    }
}

/* ---- Watching ---- */

static bool watch(worker *w, int descriptor, command *c, int what)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = (uint64_t)(uintptr_t)c | (unsigned)what};
    return epoll_ctl(w->epoll, EPOLL_CTL_ADD, descriptor, &wanted) == 0;
}

/* Closing alone would not do while a copy of this process holds the descriptor too: its events would come for ever. */
static void close_watched(worker *w, int *descriptor)
{
    if (*descriptor >= 0) {
        epoll_ctl(w->epoll, EPOLL_CTL_DEL, *descriptor, NULL);
        close(*descriptor);
        *descriptor = -1;
    }
}

static bool has_open_pipe(const command *c)
{
    return c->pipes[STDOUT] >= 0 || c->pipes[STDERR] >= 0;
}

/* Look now and then at a process that the kernel has no room to watch. */
static void poll_from_now_on(worker *w, command *c)
{
    if (!c->polled) {
        c->polled = true;
        w->polled++;
    }
}

static void watch_output(worker *w, command *c)
{
    if (c->watched)
        return;
    c->watched = true;
    for (int stream = STDOUT; stream <= STDERR; stream++)
        if (c->pipes[stream] >= 0 && !watch(w, c->pipes[stream], c, stream))
            poll_from_now_on(w, c);
}

/* Watch the output of the commands that have lived through a tick. */
static void watch_outputs(worker *w, int64_t now)
{
    for (; w->fresh && (w->fresh->watched || now - w->fresh->began >= TICK_MS); w->fresh = w->fresh->behind)
        watch_output(w, w->fresh);
}

/* Take a command off its worker's list. It is freed once no event can point to it. */
static void bury(worker *w, command *c)
{
    if (w->fresh == c)
        w->fresh = c->behind;
    if (c->before)
        c->before->behind = c->behind;
    else
        w->first = c->behind;
    if (c->behind)
        c->behind->before = c->before;
    else
        w->last = c->before;
    w->polled -= c->polled;
    c->buried = true;
    c->next = w->graves;
    w->graves = c;
}

/* ---- Starting ---- */

/* Return the environment of a command: the entries of the engine's, replaced and added to by those of the command. */
static char **environment_of(worker *w, const command *c)
{
    const engine *e = w->engine;
    size_t count = e->environment_count;
    if (count + c->extra_count + 1 > w->environment_room) {
        size_t room = count + c->extra_count + 64;
        char **larger = realloc(w->environment, room * sizeof *larger);
        if (!larger)
            return NULL;
        w->environment = larger;
        w->environment_room = room;
    }
    char **entries = w->environment;
    memcpy(entries, e->environment, count * sizeof *entries);
    for (size_t i = 0; i < c->extra_count; i++) {
        size_t name = i ? (size_t)(strchr(c->extra[i], '=') - c->extra[i]) + 1 : 0;
        size_t at = i ? 0 : count;
        while (at < count && strncmp(entries[at], c->extra[i], name) != 0)
            at++;
        count += at == count;
        entries[at] = c->extra[i];
    }
    entries[count] = NULL;
    return entries;
}

/* What the child of vfork leaves in the memory that it shares with its parent. */
typedef struct {
    volatile int error, step;
} failure;

/* Become the command. Runs in the child of vfork, which shares all memory with the parent: it calls nothing but what
   POSIX allows in a signal handler, and changes nothing but ``failed``. */
static void become(const engine *e, const command *c, char **environment, int out, int err, failure *failed)
{
    setsid();
    /* A handler of this process must not run in the child: it would change this process's memory. Python ignores
       SIGPIPE and SIGXFSZ, and an ignored signal stays ignored. */
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL
            && (action.sa_handler != SIG_IGN || number == SIGPIPE || number == SIGXFSZ)) {
            action = (struct sigaction){.sa_handler = SIG_DFL};
            sigaction(number, &action, NULL);
        }
    }
    failed->step = STEP_RESOURCE;
    if (dup2(e->null, 0) >= 0 && dup2(out, STDOUT) >= 0 && dup2(err, STDERR) >= 0) {
        umask(e->umask);
        failed->step = STEP_DIRECTORY;
        /* The directory in which the run began, wherever snippets have gone since, renamed or removed as it may be. */
        if ((e->directory < 0 || fchdir(e->directory) == 0) && (!*c->directory || chdir(c->directory) == 0)) {
            failed->step = STEP_PROGRAM;
            sigprocmask(SIG_SETMASK, &e->mask, NULL);
            execve(c->path, c->arguments, environment);
        }
    }
    failed->error = errno;
    _exit(127);
}

/* Not posix_spawn: it sets no umask, and that of this process belongs to the snippets. A function of its own, so that
   the child cannot overwrite what its caller keeps on the stack. */
static __attribute__((noinline)) pid_t spawn(const engine *e, const command *c, char **environment, int out, int err,
                                             failure *failed)
{
    pid_t pid = vfork();
    if (pid == 0)
        become(e, c, environment, out, err, failed);
    return pid;
}

/* Make a pipe whose ends are not 0, 1 or 2, which a snippet may have closed: the child replaces these. */
static int make_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return errno;
    for (int i = 0; i < 2; i++) {
        if (ends[i] <= STDERR) {
            int higher = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR + 1);
            int error = errno;
            if (higher < 0) {
                close(ends[0]);
                close(ends[1]);
                return error;
            }
            close(ends[i]);
            ends[i] = higher;
        }
    }
    return 0;
}

/* Start the process of a command, without the lock. Return 0, or errno with the step that failed. */
static int start_process(worker *w, command *c, int *step)
{
    int out[2], err[2] = {-1, -1}, error;
    failure failed = {0, STEP_RESOURCE};
    char **environment = environment_of(w, c);
    *step = STEP_RESOURCE;
    if (!environment)
        return ENOMEM;
    if ((error = make_pipe(out)))
        return error;
    if (!(c->flags & MERGED) && (error = make_pipe(err))) {
        close(out[0]);
        close(out[1]);
        return error;
    }
    pid_t pid = spawn(w->engine, c, environment, out[1], c->flags & MERGED ? out[1] : err[1], &failed);
    error = pid < 0 ? errno : failed.error;
    close(out[1]);
    if (err[1] >= 0)
        close(err[1]);
    if (!error) {
        c->pid = pid;
        c->pipes[STDOUT] = out[0];
        c->pipes[STDERR] = err[0];
        c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        return 0;
    }
    *step = pid < 0 ? STEP_RESOURCE : failed.step;
    close(out[0]);
    if (err[0] >= 0)
        close(err[0]);
    /* A snippet that waits for any child may have reaped it. */
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return error;
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM;
}

/* Start a command, which has a slot already. Lets go of the lock meanwhile. */
static void start(worker *w, command *c)
{
    engine *e = w->engine;
    int step;
    e->spawning++;
    pthread_mutex_unlock(&e->lock);
    int error = start_process(w, c, &step);
    pthread_mutex_lock(&e->lock);
    if (!--e->spawning)
        pthread_cond_broadcast(&e->quiet);
    if (error) {
        e->running--;
        /* Nothing more starts until Python has decided what a shortage means. */
        e->stalled = e->stalled || is_shortage(error);
        drop_chain(e, c->following);
        event *news = c->spares[--c->spare_count];
        *news = (event){.process = c->process, .kind = REFUSED, .last = true, .number = error, .more = step};
        news->count = e->running;
        tell(e, news, true);
        free_command(c);
        return;
    }
    write_row(e, c);
    c->began = now_ms();
    c->before = w->last;
    *(w->last ? &w->last->behind : &w->first) = c;
    w->last = c;
    if (!w->fresh)
        w->fresh = c;
    if (w->broken || c->pidfd < 0 || !watch(w, c->pidfd, c, WHAT_EXIT))
        poll_from_now_on(w, c);
    if (e->interrupted) {
        c->interrupted = true;
        kill(-c->pid, e->last_signal);
    }
    tell_of(e, c, STARTED, c->pid, 0, false, false);
}

/* Return the command that this worker is to start, NULL if it has to wait. */
static command *next_to_start(worker *w)
{
    engine *e = w->engine;
    command *c = w->starting;
    if (e->interrupted || e->halted || e->stalled || e->paused)
        return NULL;
    if (c) {
        w->starting = c->next;
        if (!w->starting)
            w->starting_end = &w->starting;
        return c;
    }
    c = e->queue;
    if (!c || e->running >= e->limit)
        return NULL;
    e->queue = c->next;
    if (!e->queue)
        e->queue_end = &e->queue;
    e->queued--;
    e->running++;
    return c;
}

/* ---- Output and exits ---- */

/* Close a pipe at its end, and let go of a command that lingered for its pipes alone. */
static void hung_up(worker *w, command *c, int stream);

/* Read a pipe once, and close it at its end. Return the number of bytes. */
static ssize_t read_pipe(worker *w, command *c, int stream)
{
    engine *e = w->engine;
    int descriptor = c->pipes[stream];
    ssize_t count = read(descriptor, e->buffer, (size_t)c->room[stream]);
    if (count <= 0) {
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (count < 0)
            /* A snippet may have closed it. */
            c->unread = errno;
        hung_up(w, c, stream);
        return 0;
    }
    event *news = malloc(sizeof *news + (size_t)count);
    if (!news) {
        c->unread = ENOMEM;
        hung_up(w, c, stream);
        return 0;
    }
    if (count == PIPE && c->room[stream] == PIPE && fcntl(descriptor, F_SETPIPE_SZ, LARGER_PIPE) >= 0)
        c->room[stream] = LARGER_PIPE;
    *news = (event){.process = c->process, .kind = stream, .length = (size_t)count};
    memcpy(news->data, e->buffer, (size_t)count);
    e->credit -= count;
    tell(e, news, e->credit < e->credit_full / 2);
    return count;
}

/* Read all that is in the pipes now, and no more: another process may go on writing. */
static void drain(worker *w, command *c)
{
    for (int stream = STDOUT; stream <= STDERR; stream++) {
        if (c->pipes[stream] < 0)
            continue;
        fcntl(c->pipes[stream], F_SETFL, O_NONBLOCK);
        ssize_t count, left = LARGEST_PIPE;
        while (c->pipes[stream] >= 0 && left > 0 && (count = read_pipe(w, c, stream)) > 0)
            left -= count;
    }
}

/* Ask for the exit of a process, by its pidfd where it has one. Return whether it has exited; then ``code`` is its
   status as ``subprocess`` has it, or ``known`` is false: it was reaped by a snippet that waits for any child. */
static bool collect_exit(const command *c, bool reap, long *code, bool *known, struct rusage *usage)
{
    siginfo_t info = {0};
    bool by_number = c->pidfd < 0 || c->polled;
    int options = WEXITED | WNOHANG | (reap ? 0 : WNOWAIT);
    *known = true;
    /* The system call itself: it tells what the process used as well. */
    if (syscall(SYS_waitid, by_number ? P_PID : P_PIDFD, by_number ? c->pid : c->pidfd, &info, options, usage) < 0) {
        *known = false;
        return true;
    }
    if (!info.si_pid)
        return false;
    *code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return true;
}

/* Handle the exit of a process: the rest of its output, its status, and what it leaves behind. */
static void exited(worker *w, command *c)
{
    engine *e = w->engine;
    struct rusage usage = {0};
    long code = 0;
    bool known;
    if (c->polled && !collect_exit(c, false, &code, &known, &usage))
        return;
    c->exited = true;
    if (has_open_pipe(c))
        drain(w, c);
    /* Another thread's child may hold the pipes' other ends until it has become its own command: then the end of the
       pipes comes a moment later. */
    bool lingers = c->interrupted || has_open_pipe(c);
    if (!lingers)
        clear_row(e, c);
    collect_exit(c, !lingers, &code, &known, &usage);
    if (w->broken)
        c->pidfd = -1; /* a snippet may have closed it, and then it may be another's */
    else
        close_watched(w, &c->pidfd);
    e->running--;

    bool ok = known && !code && !c->unread && !c->interrupted;
    command *following = c->following;
    c->following = NULL;
    bool goes_on = ok && following && !e->interrupted && c->recalls == e->recalls && now_ms() < c->until;
    if (!ok && e->fail_fast)
        e->halted = true;
    event *news = c->spares[--c->spare_count];
    *news = (event){.process = c->process, .kind = EXITED, .last = !lingers, .number = known ? code : -NSIG};
    news->more = (lingers ? LINGERS : 0) | (c->interrupted ? INTERRUPTED : 0) | (has_open_pipe(c) ? OPEN : 0);
    news->cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
                + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    news->count = usage.ru_maxrss;
    news->unread = c->unread;
    if (goes_on) {
        e->running++; /* it keeps the slot */
        following->next = NULL;
        *w->starting_end = following;
        w->starting_end = &following->next;
    }
    tell(e, news, !goes_on && is_short_of_work(e));
    if (following && !goes_on) {
        if (ok)
            give_back(e, following);
        else
            drop_chain(e, following);
    }
    c->lingers = lingers;
    if (lingers)
        watch_output(w, c);
    else
        bury(w, c);
}

static void hung_up(worker *w, command *c, int stream)
{
    engine *e = w->engine;
    if (c->unread == EBADF)
        c->pipes[stream] = -1;
    else
        close_watched(w, &c->pipes[stream]);
    if (!c->lingers || has_open_pipe(c))
        return;
    /* One that was interrupted keeps its number, that of its group, until Python lets go of it. */
    bool goes = !c->interrupted;
    tell_of(e, c, CLOSED, goes, 0, goes, false);
    if (goes) {
        clear_row(e, c);
        waitpid(c->pid, NULL, WNOHANG);
        bury(w, c);
    }
}

/* Look at a process that the kernel has no room to watch. */
static void look_at(worker *w, command *c)
{
    if (!c->exited)
        exited(w, c);
    for (int stream = STDOUT; stream <= STDERR && !c->buried; stream++)
        if (c->pipes[stream] >= 0) {
            fcntl(c->pipes[stream], F_SETFL, O_NONBLOCK);
            read_pipe(w, c, stream);
        }
}

/* Go on without the epoll, which a snippet may have closed. */
static void give_up_epoll(worker *w, int error)
{
    engine *e = w->engine;
    event *news = malloc(sizeof *news);
    w->broken = true;
    for (command *c = w->first; c; c = c->behind)
        poll_from_now_on(w, c);
    if (news) {
        *news = (event){.kind = BROKEN, .number = error};
        tell(e, news, false);
    }
}

/* Handle events that a wait has returned. Without credit nothing is read, and no exit is told: what starts next would
   print as well. ``own``: called by the worker. It alone may take what wakes it. */
static void handle(worker *w, const struct epoll_event *ready, int count, bool own)
{
    engine *e = w->engine;
    for (int i = 0; i < count && e->credit > 0; i++) {
        command *c = (command *)(uintptr_t)(ready[i].data.u64 & ~(uint64_t)WHAT_BITS);
        int what = (int)(ready[i].data.u64 & WHAT_BITS);
        uint64_t wakes;
        if (!c) {
            if (own && read(w->wake, &wakes, sizeof wakes) < 0)
                continue;
        } else if (c->buried) {
            /* An event before this one has ended it. */
        } else if (what == WHAT_EXIT) {
            if (!c->exited)
                exited(w, c);
        } else if (c->pipes[what] >= 0) {
            if (ready[i].events == EPOLLHUP)
                hung_up(w, c, what);
            else
                read_pipe(w, c, what);
        }
    }
}

/* Once all is to end, tell of exits even while nobody takes the output. */
static void handle_exits(worker *w)
{
    for (command *c = w->first, *behind; c; c = behind) {
        struct pollfd exit = {.fd = c->pidfd, .events = POLLIN};
        behind = c->behind;
        if (!c->exited && (c->polled || poll(&exit, 1, 0) > 0))
            exited(w, c);
    }
}

/* Look at all that a worker watches, without waiting. */
static void look(worker *w)
{
    struct epoll_event ready[BATCH];
    int count = BATCH;
    for (command *c = w->fresh; c; c = c->behind)
        watch_output(w, c);
    w->fresh = NULL;
    while (!w->broken && count == BATCH && w->engine->credit > 0) {
        count = epoll_wait(w->epoll, ready, BATCH, 0);
        handle(w, ready, count, false);
    }
    for (command *c = w->first, *behind; c; c = behind) {
        behind = c->behind;
        if (c->lingers)
            drain(w, c);
        else if (c->polled)
            look_at(w, c);
    }
}

/* ---- Workers ---- */

/* Return how long a worker may wait for events, in ms, -1 for ever. */
static int patience(const worker *w, int64_t now)
{
    const engine *e = w->engine;
    if (w->polled || w->broken || (e->credit <= 0 && e->interrupted))
        return PAUSE_MS;
    if (w->fresh && e->credit > 0) {
        int64_t left = w->fresh->began + TICK_MS - now;
        return left > 0 ? (int)left : 0;
    }
    return -1;
}

static void free_graves(worker *w)
{
    while (w->graves) {
        command *c = w->graves;
        w->graves = c->next;
        free_command(c);
    }
}

static void *work(void *argument)
{
    worker *w = argument;
    engine *e = w->engine;
    struct epoll_event ready[BATCH];
    pthread_mutex_lock(&e->lock);
    while (!e->closing) {
        free_graves(w);
        int64_t now = now_ms();
        watch_outputs(w, now);
        command *c = next_to_start(w);
        if (c)
            start(w, c);
        int timeout = c ? 0 : patience(w, now);
        /* Without credit it waits for its eventfd alone: the others would be ready at once. */
        bool waits_for_events = e->credit > 0 && !w->broken;
        struct pollfd wake = {.fd = w->wake, .events = POLLIN};
        w->idle = timeout != 0;
        pthread_mutex_unlock(&e->lock);
        int count = waits_for_events ? epoll_wait(w->epoll, ready, BATCH, timeout) : poll(&wake, 1, timeout);
        int error = errno;
        pthread_mutex_lock(&e->lock);
        w->idle = false;
        if (waits_for_events) {
            if (count < 0 && error != EINTR)
                give_up_epoll(w, error);
            handle(w, ready, count, true);
        } else if (count > 0) {
            uint64_t wakes;
            if (read(w->wake, &wakes, sizeof wakes) < 0)
                continue;
        }
        if (w->polled && e->credit > 0 && !c)
            look(w);
        if (e->credit <= 0 && e->interrupted)
            handle_exits(w);
    }
    free_graves(w);
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* Wake workers that wait: as many as there is to start, or all. */
static void wake(engine *e, long most)
{
    for (int i = 0; i < e->worker_count && most > 0; i++) {
        worker *w = &e->workers[i];
        if (w->idle) {
            w->idle = false;
            write_one(w->wake);
            most--;
        }
    }
}

static void wake_for_queue(engine *e)
{
    long startable = e->limit - e->running < e->queued ? e->limit - e->running : e->queued;
    wake(e, startable);
}

static int open_worker(engine *e)
{
    worker *w = &e->workers[e->worker_count];
    pthread_attr_t attributes;
    sigset_t all, before;
    *w = (worker){.engine = e, .wake = -1, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    w->starting_end = &w->starting;
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = w->epoll < 0 || w->wake < 0 || !watch(w, w->wake, NULL, 0) ? errno : 0;
    if (!error) {
        /* Only Python's main thread acts on signals. A signal that stops would hang a thread between vfork and exec. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK);
        error = pthread_create(&w->thread, &attributes, work, w);
        pthread_attr_destroy(&attributes);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (!error) {
        e->worker_count++;
        return 0;
    }
    if (w->epoll >= 0)
        close(w->epoll);
    if (w->wake >= 0)
        close(w->wake);
    return error;
}

/* Let go of a command, reaped if it has exited, as it is. */
static void let_go(worker *w, command *c)
{
    engine *e = w->engine;
    clear_row(e, c);
    if (c->exited)
        waitpid(c->pid, NULL, WNOHANG);
    else
        e->running--;
    close_watched(w, &c->pipes[STDOUT]);
    close_watched(w, &c->pipes[STDERR]);
    close_watched(w, &c->pidfd);
    drop_chain(e, c->following);
    tell_of(e, c, DROPPED, 0, 0, true, false);
    bury(w, c);
}

/* ---- Python's side ---- */

/* Each method below is called in the thread of the loop. In a copy of this process that a snippet has made by fork the
   threads are gone, and one may have held the lock: there nothing is touched. */
static bool is_copy(const engine *e)
{
    return e->owner != getpid();
}

/* Take the lock, or return false with an exception set. */
static bool enter(engine *e)
{
    if (is_copy(e)) {
        PyErr_SetString(PyExc_RuntimeError, "the engine belongs to the process that has made it");
        return false;
    }
    pthread_mutex_lock(&e->lock);
    return true;
}

static PyObject *leave(engine *e)
{
    pthread_mutex_unlock(&e->lock);
    Py_RETURN_NONE;
}

/* Fill ``entries`` with the texts that stand one behind the other in ``memory``. Return the end of the last one. */
static char *split(char *memory, char **entries, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        entries[i] = memory;
        memory += strlen(memory) + 1;
    }
    return memory;
}

/* Make a command of ``(process, argument count, count of extra entries, flags, texts)``, in one piece of memory.
   ``texts``: path, arguments, extra entries and directory, each with a NUL behind it. */
static command *read_command(PyObject *spec)
{
    PyObject *process;
    Py_ssize_t argument_count, extra_count, size;
    const char *texts;
    int flags;
    if (!PyArg_ParseTuple(spec, "Onniy#;a command", &process, &argument_count, &extra_count, &flags, &texts, &size))
        return NULL;
    Py_ssize_t count = 0, pointers = argument_count + 1 + extra_count;
    for (const char *end = texts; end < texts + size; end += strlen(end) + 1)
        count++;
    if (argument_count < 0 || extra_count < 1 || count != argument_count + extra_count + 2) {
        PyErr_SetString(PyExc_ValueError, "embedded null byte");
        return NULL;
    }
    command *c = malloc(sizeof *c + (size_t)pointers * sizeof(char *) + (size_t)size);
    if (!c)
        return (command *)PyErr_NoMemory();
    *c = (command){.pidfd = -1, .pipes = {-1, -1, -1}, .room = {0, PIPE, PIPE}, .row = -1, .flags = flags};
    for (; c->spare_count < SPARES; c->spare_count++)
        if (!(c->spares[c->spare_count] = malloc(sizeof(event)))) {
            free_command(c);
            return (command *)PyErr_NoMemory();
        }
    c->process = process;
    c->arguments = (char **)(c + 1);
    c->extra = c->arguments + argument_count + 1;
    c->extra_count = (size_t)extra_count;
    c->path = memcpy(c->extra + extra_count, texts, (size_t)size);
    char *memory = split((char *)c->path + strlen(c->path) + 1, c->arguments, argument_count);
    c->arguments[argument_count] = NULL;
    c->directory = split(memory, c->extra, extra_count);
    return c;
}

static PyObject *engine_submit(engine *e, PyObject *arguments)
{
    PyObject *specs;
    long long chain_ms;
    command *head = NULL, **end = &head;
    if (!PyArg_ParseTuple(arguments, "O!L", &PyList_Type, &specs, &chain_ms))
        return NULL;
    for (Py_ssize_t i = 0; i < PyList_Size(specs); i++, end = &(*end)->following)
        if (!(*end = read_command(PyList_GetItem(specs, i))))
            break;
    if (!head || PyErr_Occurred() || !enter(e)) {
        for (command *c = head, *following; c; c = following) {
            following = c->following;
            free_command(c);
        }
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    for (command *c = head; c; c = c->following) {
        Py_INCREF(c->process);
        c->until = now_ms() + chain_ms;
        c->recalls = e->recalls;
    }
    *e->queue_end = head;
    e->queue_end = &head->next;
    e->queued++;
    /* Threads are started for the first commands: a run of snippets needs none. */
    if (e->worker_count < e->most_workers && e->worker_count < e->queued + e->running) {
        errno = open_worker(e);
        if (errno)
            e->most_workers = e->worker_count;
        if (!e->most_workers) {
            pthread_mutex_unlock(&e->lock);
            return PyErr_SetFromErrno(PyExc_OSError);
        }
    }
    wake_for_queue(e);
    return leave(e);
}

static PyObject *engine_go_on(engine *e, PyObject *number)
{
    long limit = PyLong_AsLong(number);
    if (PyErr_Occurred() || !enter(e))
        return NULL;
    bool held = e->stalled || e->halted;
    e->limit = limit;
    e->stalled = e->halted = false;
    if (held)
        wake(e, e->worker_count);
    else
        wake_for_queue(e);
    return leave(e);
}

/* Give back a list of heads of chains, and empty it. Return how many there were. */
static long give_back_all(engine *e, command **first, command ***end)
{
    long count = 0;
    for (command *c = *first, *next; c; c = next, count++) {
        next = c->next;
        give_back(e, c);
    }
    *first = NULL;
    *end = first;
    return count;
}

static PyObject *engine_take_back(engine *e, PyObject *Py_UNUSED(none))
{
    if (!enter(e))
        return NULL;
    e->queued -= give_back_all(e, &e->queue, &e->queue_end);
    for (int i = 0; i < e->worker_count; i++)
        e->running -= give_back_all(e, &e->workers[i].starting, &e->workers[i].starting_end);
    e->recalls++;
    return leave(e);
}

static PyObject *engine_signal(engine *e, PyObject *arguments)
{
    PyObject *process;
    int number, interrupts;
    if (!PyArg_ParseTuple(arguments, "Oip", &process, &number, &interrupts) || !enter(e))
        return NULL;
    bool all = process == Py_None;
    for (int i = 0; i < e->worker_count; i++) {
        worker *w = &e->workers[i];
        if (interrupts)
            look(w); /* processes that have exited by now have done so by themselves */
        for (command *c = w->first; c; c = c->behind)
            if (all || c->process == process) {
                c->interrupted = c->interrupted || interrupts;
                kill(-c->pid, number); /* it is in the list, so it is not reaped: the number is still its own */
            }
    }
    if (all && interrupts) {
        e->interrupted = true;
        e->last_signal = number;
        wake(e, e->worker_count);
    }
    return leave(e);
}

static PyObject *engine_suspend(engine *e, PyObject *resume)
{
    struct timespec until;
    if (!enter(e))
        return NULL;
    e->paused = resume != Py_True;
    wake(e, e->paused ? 0 : e->worker_count);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    /* A start takes a millisecond, unless a disk does not answer. */
    while (e->paused && e->spawning && pthread_cond_timedwait(&e->quiet, &e->lock, &until) == 0)
        ;
    return leave(e);
}

static PyObject *engine_release(engine *e, PyObject *process)
{
    bool was_open = false;
    if (!enter(e))
        return NULL;
    for (int i = 0; i < e->worker_count; i++) {
        worker *w = &e->workers[i];
        command *c = w->first;
        while (c && c->process != process)
            c = c->behind;
        if (!c)
            continue;
        c->lingers = false;
        drain(w, c);
        was_open = has_open_pipe(c);
        let_go(w, c);
        break;
    }
    pthread_mutex_unlock(&e->lock);
    return PyBool_FromLong(was_open);
}

static PyObject *engine_look(engine *e, PyObject *Py_UNUSED(none))
{
    if (!enter(e))
        return NULL;
    for (int i = 0; i < e->worker_count; i++)
        look(&e->workers[i]);
    wake(e, e->worker_count);
    return leave(e);
}

/* Return an event as ``(kind, process, what, more)``. */
static PyObject *describe(const event *news)
{
    PyObject *process = news->process ? news->process : Py_None;
    switch (news->kind) {
    case STDOUT:
    case STDERR:
        return Py_BuildValue("iOy#O", news->kind, process, news->data, (Py_ssize_t)news->length, Py_None);
    case EXITED:
        return Py_BuildValue("iOl(lidL)", news->kind, process, news->number, news->more, news->unread, news->cpu,
                             news->count);
    default:
        return Py_BuildValue("iOl(lL)", news->kind, process, news->number, news->more, news->count);
    }
}

static PyObject *engine_collect(engine *e, PyObject *may_read)
{
    uint64_t wakes;
    PyObject *found = PyList_New(0);
    if (!found || !enter(e)) {
        Py_XDECREF(found);
        return NULL;
    }
    event *news = e->events;
    e->events = NULL;
    e->events_end = &e->events;
    /* With nothing to collect Python stops looking, and is woken by the next event. */
    e->awake = news != NULL;
    e->nudged = false;
    if (may_read == Py_True) {
        bool starved = e->credit <= 0;
        e->credit += e->collected;
        e->collected = 0;
        wake(e, starved ? e->worker_count : 0);
    }
    for (event *each = news; each; each = each->next)
        e->collected += (long long)each->length;
    if (read(e->descriptor, &wakes, sizeof wakes) < 0)
        wakes = 0; /* it looks by itself */
    pthread_mutex_unlock(&e->lock);
    for (event *next; news; news = next) {
        PyObject *described = found && news->kind != DROPPED ? describe(news) : NULL;
        if (found && news->kind != DROPPED && (!described || PyList_Append(found, described) < 0))
            Py_CLEAR(found);
        Py_XDECREF(described);
        if (news->last)
            Py_DECREF(news->process);
        next = news->next;
        free(news);
    }
    return found;
}

/* End the threads. Commands that still run or linger are left alone. */
static PyObject *engine_close(engine *e, PyObject *Py_UNUSED(none))
{
    if (e->descriptor < 0 || is_copy(e))
        Py_RETURN_NONE;
    pthread_mutex_lock(&e->lock);
    e->closing = true;
    wake(e, e->worker_count);
    pthread_mutex_unlock(&e->lock);
    Py_BEGIN_ALLOW_THREADS
    for (int i = 0; i < e->worker_count; i++)
        pthread_join(e->workers[i].thread, NULL);
    Py_END_ALLOW_THREADS
    give_back_all(e, &e->queue, &e->queue_end);
    for (int i = 0; i < e->worker_count; i++) {
        worker *w = &e->workers[i];
        give_back_all(e, &w->starting, &w->starting_end);
        while (w->first)
            let_go(w, w->first);
        free_graves(w);
        free(w->environment);
        close(w->epoll);
        close(w->wake);
    }
    e->worker_count = 0;
    Py_XDECREF(engine_collect(e, Py_False));
    close(e->descriptor);
    e->descriptor = -1;
    if (e->table)
        munmap(e->table, e->table_size);
    Py_RETURN_NONE;
}

/* ``(environment, directory, null, umask, table, first_row, rows, workers, processors, credit, fail_fast)``: entries
   of commands' environment, each with a NUL behind it; descriptors of the directory that they start in and of
   /dev/null; the umask; the descriptor of the guardian's table, -1 for none, and the rows that are the engine's; most
   threads; processors to be kept busy; bytes that may be read before Python has collected more; whether a failure keeps
   all commands from starting. */
static int engine_init(engine *e, PyObject *arguments, PyObject *Py_UNUSED(names))
{
    const char *texts;
    Py_ssize_t size;
    int mask, table, first_row, rows, fail_fast;
    if (e->owner || !PyArg_ParseTuple(arguments, "y#iiiiiiiiLp", &texts, &size, &e->directory, &e->null, &mask, &table,
                                      &first_row, &rows, &e->most_workers, &e->processors, &e->credit_full, &fail_fast))
        return -1;
    for (const char *end = texts; end < texts + size; end += strlen(end) + 1)
        e->environment_count++;
    e->environment = malloc(e->environment_count * sizeof(char *) + (size_t)size + 1);
    e->rows = malloc(((size_t)rows + 1) * sizeof(int));
    if (!e->environment || !e->rows) {
        PyErr_NoMemory();
        return -1;
    }
    char *memory = memcpy(e->environment + e->environment_count, texts, (size_t)size);
    split(memory, e->environment, (Py_ssize_t)e->environment_count);
    e->table_size = (size_t)(first_row + rows) * ROW;
    void *shared = table < 0 ? MAP_FAILED : mmap(NULL, e->table_size, PROT_READ | PROT_WRITE, MAP_SHARED, table, 0);
    if (shared != MAP_FAILED)
        for (e->table = shared; e->row_count < rows; e->row_count++)
            e->rows[e->row_count] = first_row + rows - 1 - e->row_count;
    e->umask = (mode_t)mask;
    e->fail_fast = fail_fast;
    e->most_workers = e->most_workers < MOST_WORKERS ? e->most_workers : MOST_WORKERS;
    e->credit = e->credit_full;
    e->queue_end = &e->queue;
    e->events_end = &e->events;
    pthread_sigmask(SIG_BLOCK, NULL, &e->mask);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->quiet, NULL);
    if ((e->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    e->owner = getpid();
    return 0;
}

static void engine_dealloc(engine *e)
{
    PyTypeObject *type = Py_TYPE((PyObject *)e);
    if (e->owner)
        Py_XDECREF(engine_close(e, NULL));
    free(e->environment);
    free(e->rows);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(e);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"submit", (PyCFunction)engine_submit, METH_VARARGS, "Queue a chain, which goes on for so many milliseconds."},
    {"go_on", (PyCFunction)engine_go_on, METH_O, "Let so many commands run, also after a shortage or failure."},
    {"take_back", (PyCFunction)engine_take_back, METH_NOARGS, "Give back all commands that have not started."},
    {"signal", (PyCFunction)engine_signal, METH_VARARGS,
     "signal(process, number, interrupts): signal its group, None for all. interrupts: it is asked to end."},
    {"suspend", (PyCFunction)engine_suspend, METH_O, "Start nothing, and return when no start is under way; or resume."},
    {"release", (PyCFunction)engine_release, METH_O, "Let go of a command. Return whether its pipes were open."},
    {"look", (PyCFunction)engine_look, METH_NOARGS, "Handle what has happened by now."},
    {"collect", (PyCFunction)engine_collect, METH_O,
     "collect(may_read): return what has happened since. may_read: what was collected before has been dealt with."},
    {"close", (PyCFunction)engine_close, METH_NOARGS, "End the threads."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"descriptor", T_INT, offsetof(engine, descriptor), READONLY, "The eventfd that tells of events."},
    {"queued", T_LONG, offsetof(engine, queued), READONLY, "How many chains wait for a thread or a slot."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Starts, watches and reaps commands in threads without the interpreter's lock."},
    {Py_tp_init, (void *)engine_init},
    {Py_tp_new, (void *)PyType_GenericNew},
    {Py_tp_dealloc, (void *)engine_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec type = {"fastrun.executors.commands._engine.Engine", sizeof(engine), 0, Py_TPFLAGS_DEFAULT, slots};

static int add_type(PyObject *module)
{
    PyObject *made = PyType_FromSpec(&type);
    int added = made ? PyModule_AddObjectRef(module, "Engine", made) : -1;
    Py_XDECREF(made);
    return added;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, (void *)add_type}, {0, NULL}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_engine", .m_slots = module_slots};

PyMODINIT_FUNC PyInit__engine(void)
{
    return PyModuleDef_Init(&module);
}
