/* The least that running commands costs: posix_spawn and wait in a loop.

   floor COUNT JOBS: runs `/bin/sh -c true` COUNT times, at most JOBS at once. Takes no output, makes no sessions,
   knows no dependencies and reads no file: whoever runs commands for others pays for those besides. */

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
    char *command[] = {"/bin/sh", "-c", "true", NULL};
    long left, jobs, running = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: floor COUNT JOBS\n");
        return 2;
    }
    left = atol(argv[1]);
    jobs = atol(argv[2]);
    while (left > 0 || running > 0) {
        pid_t pid;
        int status;

        if (left > 0 && running < jobs) {
            if (posix_spawn(&pid, command[0], NULL, NULL, command, environ) != 0) {
                fprintf(stderr, "floor: cannot spawn\n");
                return 1;
            }
            left--;
            running++;
            continue;
        }
        if (wait(&status) < 0 || status != 0) {
            fprintf(stderr, "floor: a command failed\n");
            return 1;
        }
        running--;
    }
    return 0;
}
