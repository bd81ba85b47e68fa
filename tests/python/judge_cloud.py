"""SkyPilot judges cloud/train.sky.yaml and the command lines of `npm run cloud`, shellcheck the set-up script.

    python tests/python/judge_cloud.py

Nothing is started, no network is needed. Broken copies of the task must be refused, so that the judge is known to bite.
"""

import copy
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

# SkyPilot keeps its state in the home folder, and makes it while it is imported.
home = tempfile.TemporaryDirectory()
os.environ['HOME'] = home.name
os.environ['SKYPILOT_DISABLE_USAGE_COLLECTION'] = '1'

import click  # noqa: E402
import sky  # noqa: E402
import yaml  # noqa: E402
from sky.backends.task_codegen import TaskCodeGen  # noqa: E402
from sky.client.cli import command as sky_cli  # noqa: E402

root = Path(__file__).resolve().parents[2]
path = root / 'cloud' / 'train.sky.yaml'
bucket = [('PACERID_BUCKET', 's3://pacerid-judge')]


def check(config: dict) -> None:
    """SkyPilot takes it, and it is what docs/cloud.md promises."""
    task = sky.Task.from_yaml_config(copy.deepcopy(config), env_overrides=bucket)
    first, *others = task.resources  # a list where the order counts, a set for any_of
    assert isinstance(task.resources, list)
    assert str(first.cloud) == 'AWS' and first.accelerators == {'T4': 1} and first.cpus == '4', first
    assert [(one.cloud, one.accelerators) for one in others] == [(None, {'T4': 1}), (None, {'L4': 1})], others
    assert all(one.use_spot for one in task.resources), 'not on spot machines'
    (mount, storage), *more = task.storage_mounts.items()
    assert not more and mount == '/pacerid' and storage.source == 's3://pacerid-judge', task.storage_mounts
    assert storage.mode == sky.StorageMode.MOUNT_CACHED, storage.mode
    cache = storage.resolve_mount_cached_config()
    assert (cache.transfers, cache.vfs_write_back) == (1, '1s'), 'uploads may overtake each other, or be cut off by a rename'
    assert task.workdir == '.' and task.setup == 'bash cloud/setup.sh', (task.workdir, task.setup)
    assert '--resume' in task.run and 'output.dir="/pacerid/runs/$RUN"' in task.run, task.run
    for code in (0, 1):
        assert ending(task.run, code) == (code, True), f'training ended with {code}'


def ending(run: str, code: int) -> tuple[int, bool]:
    """The script as SkyPilot runs it, with a training that ends with `code`: its exit code, and whether it waited for the bucket."""
    with tempfile.TemporaryDirectory() as place:
        log = Path(place, '.sky', 'rclone_log', 'mount.log')
        log.parent.mkdir(parents=True)
        # Days of a log, the last line of which says that all is there; more than a pipe holds.
        log.write_text('INFO : vfs cache: cleaned: objects 9 (was 9) in use 0, to upload 0, uploading 0\n' * 9999)
        for name, does in {'npm': f'exit {code}', 'findmnt': 'echo /pacerid fuse.rclone', 'sleep': 'exit 0'}.items():
            Path(place, name).write_text(f'#!/bin/sh\n{does}\n')
            Path(place, name).chmod(0o755)
        env = {'HOME': place, 'PATH': f'{place}:{os.environ["PATH"]}', 'RUN': 'r', 'CONFIG': 'c', 'DATA': '', 'EXTRA': ''}
        script = TaskCodeGen.build_task_bash_script(run)
        ended = subprocess.run(['bash', '-c', script], env=env, capture_output=True, text=True, timeout=20)
    return ended.returncode, 'cached mount upload complete' in ended.stdout


def refused(what: str, change) -> None:
    broken = yaml.safe_load(path.read_text())
    change(broken)
    try:
        with open(os.devnull, 'w') as silence:
            stderr, sys.stderr = sys.stderr, silence
            try:
                check(broken)
            finally:
                sys.stderr = stderr
    except (AssertionError, ValueError, subprocess.TimeoutExpired):
        return
    raise SystemExit(f'{what} was not noticed')


def parsed_by_sky(line: str) -> None:
    """Reads a command line as `sky` does, without calling what it names. Unknown flags and missing arguments throw."""
    program, *words = shlex.split(line)
    assert program == 'sky', line
    command: click.Command = sky_cli.cli
    while isinstance(command, click.Group):
        name = words.pop(0)
        command = command.commands[name]
    command.make_context(command.name, words)


check(yaml.safe_load(path.read_text()))
try:
    sky.Task.from_yaml(str(path))
    raise SystemExit('a launch without a bucket was not refused')
except ValueError as error:
    assert 'PACERID_BUCKET' in str(error), error

refused('a misspelt setting', lambda task: task['resources'].update(use_spots=True))
refused('an unknown way to mount', lambda task: task['file_mounts']['/pacerid'].update(mode='MOUNT_CASHED'))
refused('another pace of uploads', lambda task: task['file_mounts']['/pacerid']['config']['mount_cached'].update(vfs_write_back='0s'))
refused('a misspelt accelerator list', lambda task: task['resources']['ordered'][0].update(accelerators={'T4': 'one'}))
refused('a machine on demand', lambda task: task['resources'].update(use_spot=False))
refused('another order', lambda task: task['resources']['ordered'].reverse())
refused('a run that starts anew each time', lambda task: task.update(run=task['run'].replace(' --resume', '')))

refused('a failure that keeps the bucket from being waited for', lambda task: task.update(run='set -e\n' + task['run']))

calls = [
    [verb, *cluster, *extra]
    for cluster in ([], ['--cluster'])
    for verb, *extra in (['launch', '--train=--epochs 3', '--', '--yes'], ['status'], ['logs', '--', '--no-follow'], ['terminate', '--', '--yes'])
]
for call in calls:
    own, extra = (call[: call.index('--')], call[call.index('--') :]) if '--' in call else (call, [])
    command = ['node', 'scripts/cli.mjs', 'cloud', *own, '--bucket', 'pacerid-judge', '--dry-run', *extra]
    printed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    parsed_by_sky(printed.removeprefix('$ '))
try:
    parsed_by_sky('sky jobs launch --nam pacerid cloud/train.sky.yaml')
    raise SystemExit('a misspelt flag was not noticed')
except click.NoSuchOption:
    pass

shellcheck = Path(sys.executable).with_name('shellcheck')
subprocess.run([shellcheck, root / 'cloud' / 'setup.sh'], check=True)
print(f'SkyPilot {sky.__version__} takes the task and {len(calls)} command lines, and refuses 9 broken copies; shellcheck has nothing to say')
