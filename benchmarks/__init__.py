"""Measurements, run by hand; nothing here is asserted by a test. Each prints ratios from one interleaved run."""


def delivered(store, config):
    """The store's images divided as this configuration says, without edits."""
    from core.data.splits import Division, split_indices

    splits = split_indices(store.labels, store.meta.splits, config.data, groups=store.duplicates.groups)
    return Division(store.labels, splits)


def interleaved(commands, rounds):
    """{name: the numbers that its process answered with}: each is started, says "ready", and then measures once a round, by turns.

    commands: {name: (command, environment added to this one's)}.
    """
    import json
    import os
    import subprocess

    processes = {}
    for name, (command, environment) in commands.items():
        processes[name] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        assert processes[name].stdout.readline() == "ready\n", name
    answers = {name: [] for name in commands}
    for _ in range(rounds):
        for name, process in processes.items():
            process.stdin.write("go\n")
            process.stdin.flush()
            answers[name].append(json.loads(process.stdout.readline()))
    for process in processes.values():
        process.stdin.close()
        process.wait()
    return answers
