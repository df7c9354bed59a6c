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
   take long. Python's thread takes it for an instant while it holds the interpreter's lock; no thread of the engine
   ever waits for the interpreter's lock, so the two cannot lock each other out.

   Who owns what: a command belongs to the queue, then to the worker that starts it. Once started it is freed by the
   worker alone, and only before it waits for events again: events that it has taken already may point to it. Python's
   thread never waits for events of the epoll; it looks at processes themselves. The reference to the Python object goes
   back to Python with the last event of the command, as only Python's thread may count references.

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

/* Output of so many bytes is told in the buffer that it was read into, less in memory of its size. */
enum { MUCH = 1 << 15 };

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

/* Most milliseconds for which other starts are waited for that may keep a pipe open, and for which once they have
   ended. Tests set them, and the next. */
#ifndef DOUBT_MS
#define DOUBT_MS 50
#define LATE_MS 5
#endif

/* Most seconds for which a fork waits for the starts under way. A start takes a millisecond, unless a disk does not
   answer. */
#ifndef HOLD_S
#define HOLD_S 1
#endif

/* Milliseconds since its last look after which a thread looks at all processes again, when it next wakes; and the most
   for which it waits. A look finds exits that nothing tells of: a snippet may have closed the process's descriptor, or
   that by which the thread is woken. */
#define LOOK_MS 1000

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

/* The exit code, as ``engine.py`` has it, if a snippet that waits for any child has taken it. */
enum { LOST = -NSIG };

/* The step of a start that failed. */
enum { STEP_RESOURCE, STEP_DIRECTORY, STEP_PROGRAM };

/* What an epoll event tells of, beside the command: in the lowest bits of its address. */
enum { WHAT_EXIT = 0, WHAT_BITS = 3 };

typedef struct command command;
typedef struct worker worker;
typedef struct engine engine;

/* ``last``: no event of this command follows, and the reference to ``process`` goes with it. ``pending``: its command
   is being started, and the event is told once that has an end. ``buffer``: ``data`` has room for all that a pipe
   holds. ``order``: see ``collectable``. */
typedef struct event {
    struct event *next;
    PyObject *process;
    int kind, unread;
    bool last, urgent, pending, buffer;
    int64_t order;
    long number, more;
    double cpu, at; /* seconds; the time of the event, see ``now`` */
    long long count;
    size_t length;
    char data[];
} event;

/* Events that a command may need beside its output. They are allocated with it, so that none is lost for lack of
   memory: STARTED, EXITED, CLOSED and DROPPED. */
#define SPARES 4

/* Chains that are to start one after the other, by their first commands. */
typedef struct line {
    command *first, **end;
} line;

struct command {
    command *next;      /* in its line, or of the commands to be freed */
    command *before, *behind; /* of its worker's commands that run or linger, in the order of their starts */
    command *following; /* of its chain */
    PyObject *process;
    int64_t order; /* of starts, from 1 */
    event *start;  /* STARTED or REFUSED, pending */
    event *spares[SPARES];
    int spare_count;
    const char *path, *directory;
    char **arguments;
    char **extra; /* entries for the environment; the first is in no base environment, and has the task's name */
    size_t extra_count;
    int flags;
    bool exited, interrupted, lingers, watched, polled;
    pid_t pid;
    int pidfd;
    int pipes[STDERR + 1]; /* by stream; -1 if closed */
    int room[STDERR + 1];  /* bytes that the pipe holds */
    int unread;            /* errno of a read that failed */
    int row;
    int64_t began, until; /* when it was started; how long the chain may keep others waiting */
    int64_t doubted;      /* when it had exited, and another start may have held its pipes open; or 0 */
    long recalls;         /* how many there had been when it was handed over */
};

struct worker {
    engine *engine;
    pthread_t thread;
    int epoll, wake;
    bool idle, broken;
    command *first, *last; /* its commands */
    command *fresh;        /* the first of them whose output may not be watched yet */
    line starting;
    command *graves;
    int polled; /* how many commands have to be looked at now and then */
    int64_t looked;
    char **environment;
    size_t environment_room;
    int ends[2]; /* the writing ends of a start's pipes, or -1 */
};

/* Signals that commands are started with at their defaults. */
typedef struct {
    int count, numbers[NSIG];
} resets;

struct engine {
    PyObject_HEAD
    pthread_mutex_t lock;
    pthread_cond_t quiet; /* no start is under way */
    pid_t owner;          /* a copy of the process made by fork has no threads */
    sigset_t mask;        /* of the commands */
    resets resets;
    int64_t resets_noted;
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
    line queue;
    long queued, running, spawning, limit;
    long long credit; /* bytes that may be read before Python has collected more */
    long long credit_full, collected;
    event *buffers, *emptied; /* to be read into; those that Python has emptied since it last had the lock */
    int64_t spawned; /* when the last start ended; its child has closed what it inherited a little later */
    int64_t order;   /* of the last start */
    long recalls; /* how often what had not started was taken back */
    bool fail_fast, stalled, interrupted, closing;
    long failures, acted_on; /* with ``fail_fast``: exits that are no success, and those that Python has acted on */
    int pauses; /* how many callers want nothing to start */
    int last_signal; /* sent to all */
    event *events, **events_end;
    bool awake, nudged; /* Python looks by itself, and was woken all the same */
    bool kept_urgent;   /* Python was not given all events, and one of the others is urgent */
};

/* Return seconds of Python's ``time.monotonic``. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int64_t now_ms(void)
{
    return (int64_t)(now() * 1000);
}

static void write_one(int eventfd)
{
    uint64_t one = 1;
    /* It cannot fail but if a snippet has closed it. Threads look by themselves, if late. */
    if (write(eventfd, &one, sizeof one) < 0)
        return;
}

/* ---- Events ---- */

static void append_event(engine *e, event *news)
{
    news->next = NULL;
    *e->events_end = news;
    e->events_end = &news->next;
}

/* Wake Python. ``urgent``: a processor may wait for it. Python looks by itself in quick succession while something
   happens, and is woken for less urgent events only after a pause. */
static void wake_python(engine *e, bool urgent)
{
    if (!e->awake || (urgent && !e->nudged)) {
        e->nudged = e->awake;
        e->awake = true;
        write_one(e->descriptor);
    }
}

static void tell(engine *e, event *news, bool urgent)
{
    news->urgent = urgent;
    append_event(e, news);
    wake_python(e, urgent);
}

/* Return an event of a command, to be filled and told. */
static event *event_of(command *c, int kind, bool last)
{
    event *news = c->spares[--c->spare_count];
    *news = (event){.process = c->process, .kind = kind, .last = last, .order = c->order, .at = now()};
    return news;
}

/* Take the next number, and keep a place among the events for what becomes of the start. */
static void begin_start(engine *e, command *c)
{
    c->order = ++e->order;
    c->start = event_of(c, STARTED, false);
    c->start->pending = true;
    c->start->count = now_ms();
    append_event(e, c->start);
}

/* Tell what has become of a start: the rest of its event is filled. */
static void end_start(engine *e, command *c, bool urgent)
{
    c->start->pending = false;
    wake_python(e, urgent || e->kept_urgent);
}

/* Take the events that Python may be told of now off the list, and return them. Threads finish their starts in any
   order, and Python is told of them in the order in which they began. So while a start is under way nothing is told of
   commands that began later, but for a start that takes long: a disk may not answer. */
static event *collectable(engine *e)
{
    event *found = NULL, **end = &found, **at = &e->events;
    int64_t reached = INT64_MAX, slow = e->spawning ? now_ms() - LOOK_MS : 0;
    e->kept_urgent = false;
    for (event *news; (news = *at);) {
        if (news->pending && news->count > slow && news->order < reached)
            reached = news->order;
        if (news->pending || news->order > reached) {
            e->kept_urgent = e->kept_urgent || news->urgent;
            at = &news->next;
        } else {
            *at = news->next;
            *end = news;
            end = &news->next;
        }
    }
    *end = NULL;
    e->events_end = at;
    return found;
}

static void free_events(event *news)
{
    for (event *next; news; news = next) {
        next = news->next;
        free(news);
    }
}

static void tell_of(engine *e, command *c, int kind, long number, bool last, bool urgent)
{
    event *news = event_of(c, kind, last);
    news->number = number;
    tell(e, news, urgent);
}

/* ---- Chains that wait ---- */

static void append(line *l, command *c)
{
    c->next = NULL;
    *l->end = c;
    l->end = &c->next;
}

static command *take_first(line *l)
{
    command *c = l->first;
    if (c && !(l->first = c->next))
        l->end = &l->first;
    return c;
}

static void free_command(command *c)
{
    while (c->spare_count)
        free(c->spares[--c->spare_count]);
    free(c);
}

/* Free what is left of a chain and never starts. ``kind``: RETURNED if Python is to have the first command back, or
   DROPPED, as for all others: their references alone go to Python. */
static void end_chain(engine *e, command *c, int kind)
{
    for (command *following; c; c = following, kind = DROPPED) {
        following = c->following;
        tell_of(e, c, kind, 0, true, kind == RETURNED);
        free_command(c);
    }
}

/* Give all chains of a line back to Python. Return how many there were. */
static long give_back(engine *e, line *l)
{
    long count = 0;
    for (command *c; (c = take_first(l)); count++)
        end_chain(e, c, RETURNED);
    return count;
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM;
}

/* Tell that a command could not be started, and free its chain. Nothing more starts until Python has decided what a
   shortage means. */
static void refuse(engine *e, command *c, int error, int step)
{
    event *news = c->start;
    e->stalled = e->stalled || is_shortage(error);
    news->kind = REFUSED;
    news->last = true;
    news->number = error;
    news->more = step;
    news->count = e->running;
    end_start(e, c, true);
    end_chain(e, c->following, DROPPED);
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
    return !w->broken && epoll_ctl(w->epoll, EPOLL_CTL_ADD, descriptor, &wanted) == 0;
}

/* Look now and then at a process that the kernel has no room to watch. */
static void poll_from_now_on(worker *w, command *c)
{
    w->polled += !c->polled;
    c->polled = true;
}

/* Go on without the epoll: a snippet has closed what belongs to the engine. */
static void give_up_epoll(worker *w, int error)
{
    if (w->broken)
        return;
    w->broken = true;
    for (command *c = w->first; c; c = c->behind) {
        poll_from_now_on(w, c);
        c->pidfd = -1; /* it may be closed, and then be another's */
    }
    event *news = malloc(sizeof *news);
    if (news) {
        *news = (event){.kind = BROKEN, .number = error};
        tell(w->engine, news, false);
    }
}

/* Closing alone would not do while a copy of this process holds the descriptor too: its events would come for ever, and
   point to a command that has been freed. */
static void close_watched(worker *w, const command *c, int *descriptor, bool watched)
{
    if (*descriptor < 0)
        return;
    int closed = *descriptor;
    *descriptor = -1;
    if (watched && !w->broken && epoll_ctl(w->epoll, EPOLL_CTL_DEL, closed, NULL) < 0 && !c->polled)
        give_up_epoll(w, errno);
    close(closed);
}

static bool has_open_pipe(const command *c)
{
    return c->pipes[STDOUT] >= 0 || c->pipes[STDERR] >= 0;
}

static void watch_output(worker *w, command *c)
{
    if (c->watched)
        return;
    c->watched = true;
    for (int stream = STDOUT; stream <= STDERR; stream++) {
        if (c->pipes[stream] < 0)
            continue;
        /* An event may be old: Python's thread, which looks too, may have read what it tells of. */
        fcntl(c->pipes[stream], F_SETFL, O_NONBLOCK);
        if (!watch(w, c->pipes[stream], c, stream))
            poll_from_now_on(w, c);
    }
}

/* Watch the output of the commands that have lived through a tick. */
static void watch_outputs(worker *w, int64_t now)
{
    for (; w->fresh && (w->fresh->watched || now - w->fresh->began >= TICK_MS); w->fresh = w->fresh->behind)
        watch_output(w, w->fresh);
}

/* Return whether a process has exited, asked by its pidfd where it has one. ``info->si_pid`` is 0 if it was reaped by a
   snippet that waits for any child. ``options``: WNOWAIT if it is not to be reaped. */
static bool has_exited(command *c, int options, siginfo_t *info, struct rusage *usage)
{
    *info = (siginfo_t){0};
    /* The system call itself: it tells what the process used as well. */
    while (syscall(SYS_waitid, c->pidfd < 0 ? P_PID : P_PIDFD, c->pidfd < 0 ? c->pid : c->pidfd, info,
                   WEXITED | WNOHANG | options, usage) < 0) {
        if (errno == ECHILD || c->pidfd < 0)
            return true;
        c->pidfd = -1; /* a snippet has closed it */
    }
    return info->si_pid;
}

/* Have done with a command: reap it if it has exited, close what is open, and take it off its worker's list. It is
   freed once no event can point to it. */
static void bury(worker *w, command *c)
{
    siginfo_t info;
    clear_row(w->engine, c);
    if (c->exited)
        has_exited(c, 0, &info, NULL);
    close_watched(w, c, &c->pidfd, true);
    close_watched(w, c, &c->pipes[STDOUT], c->watched);
    close_watched(w, c, &c->pipes[STDERR], c->watched);
    if (w->fresh == c)
        w->fresh = c->behind;
    *(c->before ? &c->before->behind : &w->first) = c->behind;
    *(c->behind ? &c->behind->before : &w->last) = c->before;
    w->polled -= c->polled;
    c->next = w->graves;
    w->graves = c;
}

static void free_graves(worker *w)
{
    for (command *c; (c = w->graves);) {
        w->graves = c->next;
        free_command(c);
    }
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

/* Note which signals have handlers: one that ran in the child of vfork would change this process's memory. Python
   ignores SIGPIPE and SIGXFSZ, and an ignored signal stays ignored. posix_spawn asks for all of them before each start,
   in 64 calls; handlers that change while commands run are rare, and noted within a second. */
static void note_resets(engine *e, int64_t now)
{
    struct sigaction action;
    if (e->resets_noted && now - e->resets_noted < 1000)
        return;
    e->resets_noted = now;
    e->resets.count = 0;
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL
            && (action.sa_handler != SIG_IGN || number == SIGPIPE || number == SIGXFSZ))
            e->resets.numbers[e->resets.count++] = number;
}

/* What the child of vfork leaves in the memory that it shares with its parent. */
typedef struct {
    volatile int error, step;
} failure;

/* Become the command. Runs in the child of vfork, which shares all memory with the parent: it calls nothing but what
   POSIX allows in a signal handler, and changes nothing but ``failed``. */
static void become(const engine *e, const command *c, const resets *defaults, char **environment, int out, int err,
                   failure *failed)
{
    setsid();
    for (int i = 0; i < defaults->count; i++)
        sigaction(defaults->numbers[i], &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    /* The ends that other threads' commands print to: until its exec this process would keep their pipes open. Numbers
       that have changed meanwhile are of no use here either, and none of ours may be among them. */
    for (const worker *w = e->workers; w < e->workers + e->worker_count; w++)
        for (int i = 0; i < 2; i++) {
            int end = __atomic_load_n(&w->ends[i], __ATOMIC_RELAXED);
            if (end >= 0 && end != out && end != err)
                close(end);
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
static __attribute__((noinline)) pid_t spawn(const engine *e, const command *c, const resets *defaults,
                                             char **environment, int out, int err, failure *failed)
{
    pid_t pid = vfork();
    if (pid == 0)
        become(e, c, defaults, environment, out, err, failed);
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
            if (higher < 0)
                return errno;
            close(ends[i]);
            ends[i] = higher;
        }
    }
    return 0;
}

static void close_all(const int *descriptors, int count)
{
    for (int i = 0; i < count; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
}

/* Start the process of a command, without the lock. Return 0, or errno with the step that failed. */
static int start_process(worker *w, command *c, const resets *defaults, int *step)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    failure failed = {0, STEP_RESOURCE};
    pid_t pid = -1;
    char **environment = environment_of(w, c);
    int error = environment ? make_pipe(out) : ENOMEM;
    if (!error && !(c->flags & MERGED))
        error = make_pipe(err);
    if (!error) {
        __atomic_store_n(&w->ends[0], out[1], __ATOMIC_RELAXED);
        __atomic_store_n(&w->ends[1], err[1], __ATOMIC_RELAXED);
        pid = spawn(w->engine, c, defaults, environment, out[1], c->flags & MERGED ? out[1] : err[1], &failed);
        error = pid < 0 ? errno : failed.error;
        __atomic_store_n(&w->ends[0], -1, __ATOMIC_RELAXED);
        __atomic_store_n(&w->ends[1], -1, __ATOMIC_RELAXED);
    }
    close_all((int[]){out[1], err[1]}, 2);
    if (!error) {
        c->pid = pid;
        c->pipes[STDOUT] = out[0];
        c->pipes[STDERR] = err[0];
        c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        return 0;
    }
    *step = failed.step;
    close_all((int[]){out[0], err[0]}, 2);
    /* A snippet that waits for any child may have reaped it. */
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return error;
}

/* Start a command, which has a slot already. Lets go of the lock meanwhile. */
static void start(worker *w, command *c)
{
    engine *e = w->engine;
    int step;
    resets defaults = e->resets;
    begin_start(e, c);
    e->spawning++;
    pthread_mutex_unlock(&e->lock);
    int error = start_process(w, c, &defaults, &step);
    pthread_mutex_lock(&e->lock);
    e->spawned = now_ms();
    if (!--e->spawning)
        pthread_cond_broadcast(&e->quiet);
    if (error) {
        e->running--;
        refuse(e, c, error, step);
        return;
    }
    write_row(e, c);
    c->began = now_ms();
    c->before = w->last;
    *(w->last ? &w->last->behind : &w->first) = c;
    w->last = c;
    if (!w->fresh)
        w->fresh = c;
    if (c->pidfd < 0 || !watch(w, c->pidfd, c, WHAT_EXIT))
        poll_from_now_on(w, c);
    if (e->interrupted) {
        c->interrupted = true;
        kill(-c->pid, e->last_signal);
    }
    c->start->number = c->pid;
    c->start->count = 0;
    end_start(e, c, false);
}

/* Return whether Python has to act on a failure before anything starts. */
static bool is_halted(const engine *e)
{
    return e->failures > e->acted_on;
}

static bool may_start(const worker *w)
{
    const engine *e = w->engine;
    bool held = e->interrupted || is_halted(e) || e->stalled || e->pauses;
    return !held && (w->starting.first || (e->queue.first && e->running < e->limit));
}

/* Return the command that this worker is to start, NULL if it has to wait. */
static command *next_to_start(worker *w)
{
    engine *e = w->engine;
    if (!may_start(w))
        return NULL;
    command *c = take_first(&w->starting);
    if (!c) {
        c = take_first(&e->queue);
        e->queued--;
        e->running++;
    }
    return c;
}

/* ---- Output and exits ---- */

/* Close a pipe at its end, or because it cannot be read, and have done with a command that lingered for it alone. */
static void end_pipe(worker *w, command *c, int stream, int error)
{
    if (error)
        c->unread = error;
    if (error == EBADF) /* a snippet has closed it */
        c->pipes[stream] = -1;
    else
        close_watched(w, c, &c->pipes[stream], c->watched);
    if (!c->lingers || has_open_pipe(c))
        return;
    /* One that was interrupted keeps its number, that of its group, until Python lets go of it. */
    bool goes = !c->interrupted;
    tell_of(w->engine, c, CLOSED, goes, goes, false);
    if (goes)
        bury(w, c);
}

/* Return a buffer to be read into, or NULL. Buffers are used again: the pages of freed memory go back to the kernel,
   and getting others took a third of the time of much output. */
static event *take_buffer(engine *e)
{
    event *buffer = e->buffers;
    if (!buffer)
        return malloc(sizeof *buffer + LARGER_PIPE);
    e->buffers = buffer->next;
    return buffer;
}

static void keep_buffer(engine *e, event *buffer)
{
    buffer->next = e->buffers;
    e->buffers = buffer;
}

/* Read a pipe once, and close it at its end. Return the number of bytes. */
static ssize_t read_pipe(worker *w, command *c, int stream)
{
    engine *e = w->engine;
    int descriptor = c->pipes[stream];
    event *news = take_buffer(e);
    ssize_t count = news ? read(descriptor, news->data, (size_t)c->room[stream]) : -1;
    if (count <= 0) {
        int error = !news ? ENOMEM : count ? errno : 0;
        if (news)
            keep_buffer(e, news);
        if (error != EAGAIN && error != EINTR)
            end_pipe(w, c, stream, error);
        return 0;
    }
    if (count == PIPE && c->room[stream] == PIPE && fcntl(descriptor, F_SETPIPE_SZ, LARGER_PIPE) >= 0)
        c->room[stream] = LARGER_PIPE;
    event *little = count < MUCH ? malloc(sizeof *little + (size_t)count) : NULL;
    if (little) {
        memcpy(little->data, news->data, (size_t)count);
        keep_buffer(e, news);
        news = little;
    }
    *news = (event){.process = c->process, .kind = stream, .order = c->order, .buffer = !little};
    news->length = (size_t)count;
    e->credit -= count;
    tell(e, news, e->credit < e->credit_full / 2);
    return count;
}

/* Read all that is in the pipes now, and no more: another process may go on writing. */
static void drain(worker *w, command *c)
{
    ssize_t left = 2 * LARGEST_PIPE;
    while (has_open_pipe(c) && left > 0) {
        struct pollfd pipes[] = {{c->pipes[STDOUT], POLLIN, 0}, {c->pipes[STDERR], POLLIN, 0}};
        if (poll(pipes, 2, 0) <= 0)
            return;
        for (int i = 0; i < 2; i++) {
            if (pipes[i].revents == POLLHUP)
                end_pipe(w, c, STDOUT + i, 0);
            else if (pipes[i].revents)
                left -= read_pipe(w, c, STDOUT + i);
        }
    }
}

/* Return whether processors wait for Python to hand over more. */
static bool is_short_of_work(const engine *e)
{
    return !e->queued && e->running < e->processors;
}

/* Handle the exit of a process, if it has exited: the rest of its output, its status, and what it leaves behind. */
static void handle_exit(worker *w, command *c)
{
    engine *e = w->engine;
    struct rusage usage = {0};
    siginfo_t info;
    if (c->exited || !has_exited(c, WNOWAIT, &info, &usage))
        return;
    drain(w, c);
    /* Another thread's child may hold the pipes' other ends until it has become its own command. Then their end comes a
       moment later, and is waited for. */
    if (has_open_pipe(c) && !c->interrupted && !c->doubted && (e->spawning || now_ms() - e->spawned < LATE_MS)) {
        c->doubted = now_ms();
        poll_from_now_on(w, c);
        epoll_ctl(w->epoll, EPOLL_CTL_DEL, c->pidfd, NULL);
        watch_output(w, c);
    }
    if (has_open_pipe(c) && c->doubted && now_ms() - c->doubted < (e->spawning ? DOUBT_MS : LATE_MS))
        return;
    c->exited = true;
    c->lingers = c->interrupted || has_open_pipe(c);
    e->running--;

    long code = !info.si_pid ? LOST : info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    bool ok = !code && !c->unread && !c->interrupted;
    e->failures += !ok && e->fail_fast;
    command *following = c->following;
    c->following = NULL;
    /* While another slot is free too nothing waits for this one. */
    bool in_time = e->running + 1 < e->limit || now_ms() < c->until;
    bool goes_on = ok && following && !e->interrupted && c->recalls == e->recalls && in_time;
    if (following)
        following->order = c->order; /* if it is given back, behind this exit */
    if (goes_on) {
        e->running++; /* it keeps the slot */
        append(&w->starting, following);
    }
    event *news = event_of(c, EXITED, !c->lingers);
    news->number = code;
    news->more = (c->lingers ? LINGERS : 0) | (c->interrupted ? INTERRUPTED : 0) | (has_open_pipe(c) ? OPEN : 0);
    news->unread = c->unread;
    news->cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
                + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    news->count = usage.ru_maxrss;
    tell(e, news, !goes_on && is_short_of_work(e));
    if (!goes_on)
        end_chain(e, following, ok ? RETURNED : DROPPED);
    if (!c->lingers) {
        bury(w, c);
        return;
    }
    close_watched(w, c, &c->pidfd, true);
    watch_output(w, c);
}

/* Look at the commands of a worker, without waiting: at all for their exits, and for output at those whose output is
   not watched, or may be at its end. */
static void look(worker *w)
{
    engine *e = w->engine;
    w->looked = now_ms();
    for (command *c = w->first, *behind; c; c = behind) {
        behind = c->behind;
        handle_exit(w, c);
        if ((c->lingers || c->polled) && e->credit > -e->credit_full)
            drain(w, c);
    }
}

/* ---- Workers ---- */

/* Make the eventfd wait for the next wake-up. */
static void take_wakeup(worker *w)
{
    uint64_t wakes;
    if (read(w->wake, &wakes, sizeof wakes) < 0 && errno != EAGAIN && errno != EINTR) {
        w->wake = -1; /* a snippet has closed it */
        give_up_epoll(w, errno);
    }
}

/* Handle events that a wait has returned. Without credit nothing is read, and no exit is told: what starts next would
   print as well. */
static void handle(worker *w, const struct epoll_event *ready, int count)
{
    for (int i = 0; i < count && w->engine->credit > 0; i++) {
        command *c = (command *)(uintptr_t)(ready[i].data.u64 & ~(uint64_t)WHAT_BITS);
        int what = (int)(ready[i].data.u64 & WHAT_BITS);
        if (!c)
            take_wakeup(w);
        else if (what == WHAT_EXIT)
            handle_exit(w, c);
        else if (c->pipes[what] >= 0 && ready[i].events == EPOLLHUP)
            end_pipe(w, c, what, 0);
        else if (c->pipes[what] >= 0)
            read_pipe(w, c, what);
        if (c && c->doubted && !has_open_pipe(c))
            handle_exit(w, c);
    }
}

/* Return how long a worker may wait for events, in ms. */
static int patience(const worker *w, int64_t now)
{
    const engine *e = w->engine;
    if (w->polled || w->broken || (e->credit <= 0 && e->interrupted))
        return PAUSE_MS;
    if (w->fresh && e->credit > 0) {
        int64_t left = w->fresh->began + TICK_MS - now;
        return left > 0 ? (int)left : 0;
    }
    return LOOK_MS;
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
        int timeout = may_start(w) ? 0 : patience(w, now);
        /* Without credit it waits for its eventfd alone: the others would be ready at once. */
        bool watches = e->credit > 0 && !w->broken;
        struct pollfd wake = {.fd = w->wake, .events = POLLIN};
        w->idle = timeout != 0;
        pthread_mutex_unlock(&e->lock);
        int count = watches ? epoll_wait(w->epoll, ready, BATCH, timeout) : poll(&wake, 1, timeout);
        int error = errno;
        pthread_mutex_lock(&e->lock);
        w->idle = false;
        if (watches && count < 0 && error != EINTR)
            give_up_epoll(w, error);
        else if (watches)
            handle(w, ready, count);
        else if (count > 0)
            take_wakeup(w);
        /* Once all is to end, exits are told even while no output is taken. */
        if (e->credit > 0 ? (w->polled && !c) || now_ms() - w->looked >= LOOK_MS : e->interrupted)
            look(w);
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
    *w = (worker){.engine = e, .ends = {-1, -1}, .wake = -1, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    w->starting.end = &w->starting.first;
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
    close_all((int[]){w->epoll, w->wake}, 2);
    return error;
}

/* Let go of a command as it is. */
static void let_go(worker *w, command *c)
{
    w->engine->running -= !c->exited;
    bury(w, c);
    c->exited = true; /* events that were taken already say nothing more */
    end_chain(w->engine, c->following, DROPPED);
    tell_of(w->engine, c, DROPPED, 0, true, false);
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
    note_resets(e, now_ms());
    /* Threads are started for the first commands: a run of snippets needs none. If there cannot be more it goes on with
       those that there are. */
    int error = 0;
    if (e->worker_count < e->most_workers && e->worker_count <= e->queued + e->running && (error = open_worker(e))
        && e->worker_count)
        e->most_workers = e->worker_count;
    if (e->worker_count) {
        append(&e->queue, head);
        e->queued++;
        wake_for_queue(e);
    } else {
        begin_start(e, head);
        refuse(e, head, error, STEP_RESOURCE);
    }
    return leave(e);
}

static PyObject *engine_go_on(engine *e, PyObject *arguments)
{
    long limit, failures;
    if (!PyArg_ParseTuple(arguments, "ll", &limit, &failures) || !enter(e))
        return NULL;
    bool held = e->stalled || is_halted(e);
    e->limit = limit;
    e->stalled = false;
    e->acted_on = failures;
    if (held)
        wake(e, e->worker_count);
    else
        wake_for_queue(e);
    return leave(e);
}

static PyObject *engine_take_back(engine *e, PyObject *Py_UNUSED(none))
{
    if (!enter(e))
        return NULL;
    e->queued -= give_back(e, &e->queue);
    for (int i = 0; i < e->worker_count; i++)
        e->running -= give_back(e, &e->workers[i].starting);
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
                c->interrupted = c->interrupted || (interrupts && !c->doubted);
                kill(-c->pid, number); /* it is in the list, so it is not reaped: the number is still its own */
            }
    }
    if (all && interrupts) {
        e->interrupted = true;
        e->last_signal = number;
    }
    /* A chain may go on after an exit that was found. */
    wake(e, interrupts ? e->worker_count : 0);
    return leave(e);
}

static PyObject *engine_suspend(engine *e, PyObject *resume)
{
    struct timespec until;
    if (!enter(e))
        return NULL;
    e->pauses += resume == Py_True ? -1 : 1;
    wake(e, e->pauses ? 0 : e->worker_count);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HOLD_S;
    while (resume != Py_True && e->spawning && pthread_cond_timedwait(&e->quiet, &e->lock, &until) == 0)
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
        return Py_BuildValue("iOl(lidLd)", news->kind, process, news->number, news->more, news->unread, news->cpu,
                             news->count, news->at);
    case STARTED:
        return Py_BuildValue("iOld", news->kind, process, news->number, news->at);
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
    event *news = collectable(e);
    for (event *buffer; (buffer = e->emptied);) {
        e->emptied = buffer->next;
        keep_buffer(e, buffer);
    }
    /* With nothing to collect Python stops looking, and is woken by the next event. */
    e->awake = news != NULL;
    e->nudged = false;
    if (may_read == Py_True) {
        bool starved = e->credit <= 0;
        e->credit += e->collected;
        e->collected = 0;
        wake(e, starved ? e->worker_count : 0);
    }
    if (read(e->descriptor, &wakes, sizeof wakes) < 0)
        wakes = 0; /* it looks by itself */
    pthread_mutex_unlock(&e->lock);
    while (news) {
        PyObject *described = news->kind == DROPPED ? Py_NewRef(Py_None) : describe(news);
        bool done = described && (news->kind == DROPPED || PyList_Append(found, described) == 0);
        Py_XDECREF(described);
        if (!done)
            break;
        e->collected += (long long)news->length;
        if (news->last)
            Py_DECREF(news->process);
        event *told = news;
        news = news->next;
        if (told->buffer) {
            told->next = e->emptied;
            e->emptied = told;
        } else
            free(told);
    }
    if (news) {
        /* Memory is short: the others are collected next time. */
        PyErr_Clear();
        pthread_mutex_lock(&e->lock);
        event **end = &news->next;
        while (*end)
            end = &(*end)->next;
        if (!(*end = e->events))
            e->events_end = end;
        e->events = news;
        e->awake = true;
        write_one(e->descriptor);
        pthread_mutex_unlock(&e->lock);
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
    give_back(e, &e->queue);
    for (int i = 0; i < e->worker_count; i++) {
        worker *w = &e->workers[i];
        give_back(e, &w->starting);
        while (w->first)
            let_go(w, w->first);
        free_graves(w);
        free(w->environment);
        close_all((int[]){w->broken ? -1 : w->epoll, w->wake}, 2);
    }
    e->worker_count = 0;
    Py_XDECREF(engine_collect(e, Py_False));
    free_events(e->emptied);
    free_events(e->buffers);
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
    e->queue.end = &e->queue.first;
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
    {"go_on", (PyCFunction)engine_go_on, METH_VARARGS,
     "go_on(limit, failures): let so many commands run, also after a shortage. failures: those that were acted on."},
    {"take_back", (PyCFunction)engine_take_back, METH_NOARGS, "Give back all commands that have not started."},
    {"signal", (PyCFunction)engine_signal, METH_VARARGS,
     "signal(process, number, interrupts): signal its group, None for all. interrupts: it is asked to end."},
    {"suspend", (PyCFunction)engine_suspend, METH_O,
     "Start nothing, and return when no start is under way; or end that again."},
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
    {"credit", T_LONGLONG, offsetof(engine, credit), READONLY, "Bytes that may be read at present."},
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
