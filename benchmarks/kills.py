"""Runs that are killed at random moments, and whether they end with the same bytes

    python benchmarks/run.py kills --kills 300 --csv FILE    # a quarter for each subject; 2 hours
    python benchmarks/run.py kills --kills 20 --only film

A run is started, killed by `kill -9` after a random part of the time that it takes undisturbed,
and started again by the same call, until it ends by itself; then the next begins. Of a fleet the
leading process dies, or one of Ray's. After each kill whatever has a name must be whole (`torn`),
and in the end the outputs must be those of the undisturbed run, byte for byte (`differ`); of
reports and logs, all but times, and the smoothed training loss. `left` counts hidden files that
stay behind. What is torn or differs ends it with status 1."""
import csv, importlib, io, json, os, random, signal, sys, time, traceback
import torch
from benchmarks.support.loopback import ROOT, Node
from benchmarks.support.results import Figure
from benchmarks.support.samples import snapshots

sys.path[1:1] = [str(ROOT/'tests'/o) for o in ('', 'film', 'training')]
os.environ.update(OMP_NUM_THREADS='1', RAY_AUTH_MODE='disabled')

def without(rows, *names):
    return [{k: v for k,v in row.items() if k not in names} for row in rows]

def table(path, *left_out):
    return without(csv.DictReader(io.StringIO(path.read_text('utf-8-sig'))), *left_out)

class Folder:
    "A folder of twelve photographs"
    def __init__(self, folder, model):
        self.src,self.model = snapshots(folder/'photos', 12, size=(160, 120)),model
    def run(self, out):
        from colorized.batch.folder import colorize_folder
        from colorized.inference.colorizer import Colorizer
        c = Colorizer.from_pretrained(self.model, 'cpu')
        return colorize_folder(self.src, out, c, steps=2, workers=0, progress=False).exit_code
    def made(self, out):
        "What has a name, and what the report says of it"
        if not out.exists():
            return {}
        files = [o for o in out.rglob('*.jpg') if not o.name.startswith('.')]
        return {str(o.relative_to(out)): o.read_bytes() for o in files}
    def told(self, out):
        rows = table(out/'report.csv')
        return sorted((o['path'], o['output_sha256'], o['error']) for o in rows)

class Film:
    "A film of 36 frames in two shots, in stretches of four frames"
    def __init__(self, folder, model):
        from film_files import picture, write_film
        shots = [picture(i) for i in range(18)]+[picture(i, seed=1)//2+100 for i in range(18)]
        self.src,self.model = write_film(folder/'reel.mkv', shots, sound=1),model
    def run(self, out):
        from colorized.film import stretches
        from colorized.film.film import colorize_film
        from colorized.inference.colorizer import Colorizer
        stretches.stretches.__defaults__ = 4,
        out.mkdir(exist_ok=True)
        c = Colorizer.from_pretrained(self.model, 'cpu')
        colorize_film(self.src, out/'a.mkv', c, False, working_size=64, steps=1, gap=4)
        return 0
    def made(self, out):
        return {o.name: o.read_bytes() for o in out.glob('*.mkv')}
    def told(self, out):
        said = json.loads((out/'a.json').read_text())
        return table(out/'a.csv', 'seconds'),{**said, 'shots': without(said['shots'], 'seconds')}

class Training:
    "A run of two epochs with a state after each batch"
    def __init__(self, folder, model):
        from training_helpers import crops
        self.src = crops(folder/'color', 12, 64)
    def run(self, out):
        from colorized.model.checkpoint import ModelConfig
        from tiny import TINY
        from colorized.training.train import train
        from training_helpers import PLAIN
        least = ModelConfig(TINY)
        sys.stdout = open(os.devnull, 'w')
        train(self.src, out, valid=self.src, photos=24, bs=3, resume=(out/'state.pt').exists(),
              config=least, recipe=PLAIN, num_workers=0, bar=False, bf16=False,
              run_args=dict(minutes=0))
        return 0
    def made(self, out):
        "Network and state as they were read, after each epoch other ones"
        from colorized.training.run import read_state
        if (out/'state.pt').exists():
            read_state(out) # raises unless it is whole
        if not (out/'model.safetensors').exists():
            return {}
        from safetensors import safe_open
        with safe_open(out/'model.safetensors', 'pt') as f:
            said = json.loads(f.metadata()['colorized'])
            weights = {k: f.get_tensor(k).numpy().tobytes() for k in f.keys()}
        training = {k: v for k,v in said.pop('training').items() if k not in ('hours', 'date')}
        return {'model': (weights, said, training)} if training['photographs']==24 else {}
    def told(self, out):
        return table(out/'log.csv', 'hours', 'train_loss') # smoothed since the process began

class Fleet:
    "A Ray cluster of one node; its leading process or one of its workers dies"
    def __init__(self, folder, model):
        self.src,self.model = snapshots(folder/'scans', 12, size=(80, 60)),model
        self.node = Node(env=dict( # on a busy machine
            RAY_raylet_start_wait_time_s='240', RAY_health_check_failure_threshold='60'))
    def run(self, out):
        from colorized.fleet.run import colorize_dataset
        return colorize_dataset(self.src, out, str(self.model), address=self.node.address,
            actors=1, steps=1, working_size=64, progress=False, every=0.1).exit_code
    def victims(self):
        return self.node.workers()
    def made(self, out):
        files = [o for o in out.rglob('*.jpg') if not o.name.startswith('.')]
        return {str(o.relative_to(out)): o.read_bytes() for o in files}
    def told(self, out):
        from colorized.fleet.record import read_record
        rows = read_record(out).to_pylist()
        return sorted({(o['output'], o['output_sha256']) for o in rows if not o['error']})
    def close(self):
        self.node.kill()

SUBJECTS = dict(folder=Folder, film=Film, training=Training, fleet=Fleet)
MODULES = dict(folder='batch.folder', film='film.film', training='training.train',
               fleet='fleet.run')

def born(subject, out):
    "A process that runs it: everything is imported already, so it costs what the run costs"
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.dup2(os.open(complaint(out), os.O_WRONLY|os.O_CREAT|os.O_TRUNC), 2)
    try:
        code = subject.run(out)
    except BaseException: # noqa: BLE001
        traceback.print_exc()
        sys.stderr.flush()
        code = 70
    os._exit(code)

def complaint(out):
    "The file of what its last process said to stderr"
    return out.with_name(f'{out.name}.stderr')

def last_words(out):
    return complaint(out).read_text()[-3000:]

def ended(pid, seconds):
    "Exit code of a process, or None if it is still at work then"
    end = time.monotonic()+seconds
    while True:
        found,status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic()>=end:
            return None
        time.sleep(0.001)

def leftovers(out):
    return [str(o) for o in out.rglob('.*') if o.is_file()]

def kill_one(pid, subject, rng):
    "Kill the run, or (one time in three, where it has any) a process that works for it"
    others = subject.victims() if hasattr(subject, 'victims') and rng.random()<1/3 else []
    if others:
        os.kill(rng.choice(others), signal.SIGKILL)
        return 'helper'
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 'run'

def trial(name, subject, kills, folder, rng, say):
    "As many kills as asked for, and the runs among which they fall"
    start = time.monotonic()
    code = ended(born(subject, folder/'whole'), 600)
    assert code==0, f"{name}: undisturbed, it ended with {code}\n{last_words(folder/'whole')}"
    seconds = time.monotonic()-start
    made,told = subject.made(folder/'whole'),subject.told(folder/'whole')
    row = dict(seconds=seconds, kills=0, runs=0, differ=0, torn=0, left=0)
    while row['kills']<kills:
        out,row['runs'] = folder/f"run{row['runs']}",row['runs']+1
        while True:
            pid = born(subject, out)
            code = ended(pid, rng.uniform(0, seconds) if row['kills']<kills else 600)
            if code is None:
                which = kill_one(pid, subject, rng)
                row['kills'] += 1
                now = subject.made(out)
                row['torn'] += any(made.get(k)!=v for k,v in now.items())
                if which=='helper':
                    code = ended(pid, 600) # it goes on without
            if code==0:
                break
            assert code is None or which=='helper', (
                f"{name}: {out} ended with {code}\n{last_words(out)}")
        same = subject.made(out)==made and subject.told(out)==told
        row['differ'] += not same
        row['left'] += len(leftovers(out))
        if not same:
            say(f"{name}: {out} differs")
    return row

def add_options(p):
    p.add_argument('--kills', type=int, default=40, help='of all subjects together')
    p.add_argument('--only', nargs='+', choices=SUBJECTS)
    p.add_argument('--seed', type=int, default=0)

def measure(args):
    from tiny import tiny_model
    if args.quick: args.kills,args.only = 4,args.only or ['folder', 'training']
    torch.set_num_threads(1)
    names = args.only or list(SUBJECTS)
    for k in names: importlib.import_module(f'colorized.{MODULES[k]}')
    model,bad = tiny_model(args.tmp/'tiny.safetensors'),0
    for i,name in enumerate(names):
        folder,n = args.tmp/name,(args.kills+i)//len(names)
        folder.mkdir(parents=True)
        subject = SUBJECTS[name](folder, model)
        def say(text): print(text, file=sys.stderr, flush=True)
        try: row = trial(name, subject, n, folder, random.Random(f'{args.seed} {name}'), say)
        finally:
            if hasattr(subject, 'close'): subject.close()
        bad += row['differ']+row['torn']
        for k,v in row.items():
            yield Figure(f'kills: {name}', 'smallest network', row['kills'], k, v)
    return int(bad>0)
