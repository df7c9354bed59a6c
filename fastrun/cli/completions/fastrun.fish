# Made by `python -m tools.manual`; do not edit.

function __fastrun_document
    for word in (commandline -opc)[2..-1]
        if not string match -q -- '-*' $word; and test -f $word
            echo $word
            return
        end
    end
    return 1
end

function __fastrun_names
    set -l document (__fastrun_document; or echo fastrun.json)
    test -f $document; and fastrun --list $document 2>/dev/null | string replace -r '  .*' ''
end

complete -c fastrun -n __fastrun_document -f -a '(__fastrun_names)'
complete -c fastrun -l lines -d 'FILE has a command in each line, and is not JSON'
complete -c fastrun -s C -l directory -x -a '(__fish_complete_directories)' -d 'change to DIR before anything else'
complete -c fastrun -s j -l jobs -x -d 'run at most N commands, and snippets in processes, at once'
complete -c fastrun -l eval-threads -x -d 'run at most N snippets in threads at once'
complete -c fastrun -l eval-where -x -a 'thread process' -d 'where snippets run that do not say it themselves'
complete -c fastrun -s l -l load -x -d 'start no command while the machine\'s load is above LOAD and another command runs'
complete -c fastrun -l min-memory -x -d 'start no command while less memory than SIZE'
complete -c fastrun -l memory -x -d 'start a command only if what it and those that run are expected to need fits into SIZE'
complete -c fastrun -l jobserver -f -d 'share the limit of -j, or the number of processors, with make, ninja and cargo in commands'
complete -c fastrun -s k -l keep-going -x -d 'after N failures start nothing more, except tasks with \'when\' set to failed or always'
complete -c fastrun -l fail-fast -d 'stop at the first failure'
complete -c fastrun -l timeout -x -d 'end a task that takes longer, unless it has a \'timeout\' of its own'
complete -c fastrun -l max-time -x -d 'end the run after this time, as SIGTERM does, with exit status 124'
complete -c fastrun -l grace -x -d 'wait so long between asking a task to end and killing it, after a signal or a timeout'
complete -c fastrun -l only -x -a '(__fastrun_names)' -d 'run NAME without what it needs'
complete -c fastrun -l from -x -a '(__fastrun_names)' -d 'run NAME and all that depends on it'
complete -c fastrun -l tag -x -d 'run the tasks with this tag, and all that they need'
complete -c fastrun -l exclude -x -a '(__fastrun_names)' -d 'leave NAME out'
complete -c fastrun -s u -l update -d 'run only what is not up to date'
complete -c fastrun -l journal -r -F -d 'record the run in FILE, from which a later run can go on'
complete -c fastrun -l resume -d 'run only tasks that are not ok in the journal, or have changed since'
complete -c fastrun -l rerun -x -a '(__fastrun_names)' -d 'run NAME and all that depends on it in any case'
complete -c fastrun -l durable -d 'start a task only when the ends of its dependencies are safe on the disk'
complete -c fastrun -l output -x -a 'stream prefix group quiet' -d 'how the output of tasks is shown'
complete -c fastrun -l report -x -a 'all problems none' -d 'what the report lists'
complete -c fastrun -l status -x -a 'auto always never' -d 'show on standard error what runs now'
complete -c fastrun -l color -x -a 'auto always never' -d 'colour what is shown'
complete -c fastrun -s v -l verbose -d 'show each command as it starts, why tasks run again, and the times at the end'
complete -c fastrun -l json -r -F -d 'write what happens to FILE as JSON Lines'
complete -c fastrun -l logs -x -a '(__fish_complete_directories)' -d 'write all that each task prints to a file of its own in DIR'
complete -c fastrun -l trace -r -F -d 'write a trace for Perfetto or chrome://tracing to FILE'
complete -c fastrun -l html -r -F -d 'write a page about the run to FILE'
complete -c fastrun -l junit -r -F -d 'write a report for CI systems to FILE, as JUnit XML'
complete -c fastrun -s n -l dry-run -d 'check the document and print the order'
complete -c fastrun -l list -d 'print the tasks, with their descriptions'
complete -c fastrun -l graph -x -a 'dot mermaid json' -d 'print the tasks and their dependencies as a graph'
complete -c fastrun -l explain -x -a '(__fastrun_names)' -d 'print what NAME depends on, what depends on it, and when it starts'
complete -c fastrun -l what-if -x -d 'print how long a run with LIMITS would take, by the durations and sizes in --journal'
complete -c fastrun -l cluster -x -d 'run commands on a Dask cluster'
complete -c fastrun -l worker-retries -x -d 'run a task again on another worker if its worker was lost, at most N times'
complete -c fastrun -l shuffle -f -d 'start ready tasks in a random order, to find missing dependencies'
complete -c fastrun -l no-guardian -d 'start no process that ends the commands if fastrun is killed'
complete -c fastrun -l print-completion -x -a 'bash zsh fish' -d 'print the script by which a shell completes options, files and names of tasks'
complete -c fastrun -l schema -f -d 'print the JSON schema'
complete -c fastrun -l version -d 'print the version and the engine of commands'
complete -c fastrun -s h -l help -d 'print this help'
