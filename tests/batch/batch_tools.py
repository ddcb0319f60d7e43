"What the tests of folders share"
import json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest
from PIL import Image
from skimage import data as samples
from colorized.batch.folder import colorize_folder

root = Path(__file__).resolve().parents[2]
env = {**os.environ, 'OMP_NUM_THREADS':'1', 'PYTHONPATH':str(root)}
posix = pytest.mark.skipif(os.name!='posix', reason='signals and mounts of POSIX')

def photographs(folder, n=6, size=(120,90)):
    folder.mkdir(parents=True)
    im = Image.fromarray(samples.camera())
    for i in range(n):
        im.crop((8*i, 4*i, 8*i+360, 4*i+270)).resize(size).save(folder/f'{i:02}.jpg')
    return folder

def quick(src, dst, colorizer, **kwargs):
    options = dict(steps=2, workers=0, progress=False)
    return colorize_folder(src, dst, colorizer, **{**options, **kwargs})

def files(folder):
    "Name -> bytes of all files but hidden ones and reports"
    skip = 'report.','.'
    found = [o for o in folder.rglob('*') if o.is_file() and not o.name.startswith(skip)]
    return {o.relative_to(folder).as_posix(): o.read_bytes() for o in found}

def litter(folder): return [o.name for o in folder.rglob('.*')]

def rows(folder): return [json.loads(o) for o in (folder/'report.jsonl').read_text().splitlines()]

def start(model, src, dst, *more):
    "The command line in a process group of its own"
    code = "import sys; from colorized.cli.main import main; sys.exit(main())"
    options = ['--model', model, '--steps', '2', '--device', 'cpu', '--threads', '1']
    return subprocess.Popen(
        [sys.executable, '-c', code, src, '--out', dst, *options, *more],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # shells start background jobs with SIGINT ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))

def until(condition, seconds=60):
    end = time.time()+seconds
    while not condition():
        assert time.time()<end, 'waited too long'
        time.sleep(0.02)

def processes(group):
    "Of a process group, without zombies: process -> its parent"
    out = {}
    for o in Path('/proc').glob('[0-9]*/stat'):
        try: stat = o.read_text().rpartition(')')[2].split()
        except OSError: continue
        if int(stat[2])==group and stat[0]!='Z': out[int(o.parent.name)] = int(stat[1])
    return out

def worker_processes(group):
    "Those that read and write: the children of a child of the main process"
    found = processes(group)
    return [pid for pid,parent in found.items() if found.get(parent)==group]
