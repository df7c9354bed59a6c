/* The least cost of running commands: a loop of posix_spawn and wait.

   floor FILE JOBS: runs each command of the file with `/bin/sh -c`, at most JOBS at once. Each command ends with a NUL.
   Takes no output, makes no sessions and knows no dependencies. */

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
    char *command[] = {"/bin/sh", "-c", NULL, NULL};
    size_t size = 0;
    long jobs, running = 0;
    int left = 1;
    FILE *file;

    if (argc != 3 || (file = fopen(argv[1], "re")) == NULL) {
        fprintf(stderr, "usage: floor FILE JOBS\n");
        return 2;
    }
    jobs = atol(argv[2]);
    while (left || running > 0) {
        pid_t pid;
        int status;

        if (left && running < jobs) {
            if (getdelim(&command[2], &size, '\0', file) < 0) {
                left = 0;
                continue;
            }
            if (posix_spawn(&pid, command[0], NULL, NULL, command, environ) != 0) {
                fprintf(stderr, "floor: cannot spawn\n");
                return 1;
            }
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
