"""Whether another runtime is faster than PyTorch on this processor, and its colors the same

    python benchmarks/run.py backends TRAIN VALID --csv FILE     # an hour
    python benchmarks/run.py backends TRAIN VALID --only speed --float32

ONNX Runtime and OpenVINO run the graphs of `colorized export`, in float32 and with weights and
activations of 8 bits (static, QDQ), calibrated on photographs of the folder TRAIN. VALID is the
folder of color photographs on which colors are compared. Contestants take turns in one process,
forwards and backwards, so that company on the machine troubles all alike; `times_faster` is the
median over the turns of how many times as fast as PyTorch in float32 each is, by the clock and by
computing time, with a 95 % bootstrap interval."""
import inspect, resource, subprocess, sys
from functools import partial
from pathlib import Path
import numpy as np, torch
from colorized.evaluation.color import delta_e
from colorized.evaluation.folders import load_crop
from colorized.evaluation.report import Evaluator
from colorized.export.folder import export_model
from colorized.inference.colorizer import Colorizer
from colorized.model.sampling import working_shape
from colorized.photo.lab import rgb_to_L
from colorized.photo.reading import read_scan
from benchmarks.support.coloring import Figures, photographs, render
from benchmarks.support.machine import now, on_this_machine
from benchmarks.support.results import Figure
from benchmarks.support.runtimes import EIGHT, FIRST, OpenVino, contestants, quantize
from benchmarks.support.samples import color_crops, enlarged

def cpu():
    "Seconds of computing, of this process and of those that it has waited for"
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(o.ru_utime+o.ru_stime for o in used)

# Figures

def bootstrap(values, n=10_000):
    "95 % interval of the median; none of fewer than five"
    if len(values)<5: return None,None
    rng,values = np.random.default_rng(0),np.array(values)
    medians = np.median(rng.choice(values, (n, len(values))), 1)
    return np.quantile(medians, [0.025, 0.975]).tolist()

def by_turns(tasks, pairs):
    "Each task so many times after one that does not count: {name: [(wall, CPU) seconds, …]}"
    times = {k: [] for k in tasks}
    for i in range(-1, pairs):
        for k in list(tasks)[::1 if i%2 else -1]:
            start = now(),cpu()
            tasks[k]()
            if i>=0: times[k].append((now()-start[0], cpu()-start[1]))
    return times

def timed(what, threads, times, sha, first=FIRST):
    "Figures: medians, and how many times as fast as the first"
    base,set = np.array(times[first]),on_this_machine(what, threads)
    for k,t in times.items():
        t = np.array(t)
        for i,clock in enumerate(('seconds', 'cpu_seconds')):
            figure = partial(Figure, f'backends: {k}', set, len(t), weights=sha)
            yield figure(clock, float(np.median(t[:,i])))
            if k!=first:
                times_faster = base[:,i]/t[:,i]
                ends = bootstrap(times_faster)
                yield figure(f'times_faster_by_{clock}', float(np.median(times_faster)), *ends)

# What is measured: each yields figures

def speed(c, folders, args, tmp):
    "The network alone, and a photograph from file to file, with all defaults"
    sources = [enlarged(tmp/f'{n}.jpg', n) for n in args.megapixels]
    lights = [torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))*100]
    scan = read_scan(sources[-1])
    lights.append(scan.thumbnail_L(working_shape(scan.shape, **c.grid())))
    for threads in args.threads:
        torch.set_num_threads(threads)
        those = contestants(c, folders, threads)
        for L in lights[:1] if args.quick else lights:
            network = lambda o: (lambda: o.sample(o.condition(L), [0]))
            what = f"network, {L.shape[2]} × {L.shape[3]}"
            turns = by_turns({k: network(o) for k,o in those.items()}, args.pairs)
            yield from timed(what, threads, turns, c.sha256[:8])
        for src in sources:
            dst = tmp/'out.jpg'
            file = lambda o: (lambda: o.colorize(src).save(dst, overwrite=True))
            size = ' × '.join(map(str, read_scan(src).shape))
            what = f"file to file, {size}"
            turns = by_turns({k: file(o) for k,o in those.items()}, args.pairs)
            yield from timed(what, threads, turns, c.sha256[:8])
    torch.set_num_threads(1)

def colors(c, folders, args, tmp):
    "How far the colors are from PyTorch's, with the defaults, a seed for each photograph"
    those = contestants(c, folders, 1)
    first = those.pop(FIRST)
    scans = [read_scan(o) for o in args.valid]
    found = {k: [] for k in those}
    for i,scan in enumerate(scans):
        want = first.colorize(scan, seed=i)
        rgb = lambda o: torch.from_numpy(o.array(bits=8)).permute(2,0,1)[None]
        for k,o in those.items():
            got = o.colorize(scan, seed=i)
            most = (got.ab-want.ab).norm(dim=1).max().item()
            found[k].append((most, delta_e(rgb(got), rgb(want)).item()))
    for k,o in found.items():
        largest,mean = np.array(o).T
        figure = partial(Figure, f'backends: {k}', args.name, len(o), weights=c.sha256[:8])
        yield figure('largest_distance_of_chroma', float(largest.max()))
        yield figure('delta_e2000_from_pytorch', float(mean.mean()))

# In a process of its own: the command, and the same with a runtime that spares PyTorch the weights
COMMAND = """import sys
from colorized.cli.main import main
sys.exit(main(sys.argv[1:]))"""
OTHER = """import sys, torch
from types import SimpleNamespace
from safetensors import safe_open
from colorized.cli import photo
from colorized.cli.main import main
from colorized.export.runtime import OnnxSampler, open_session
from colorized.files import parse_json
from colorized.inference.colorizer import WEIGHTS
from colorized.model.checkpoint import ModelConfig
{opener}
def load(*args):
    with safe_open(WEIGHTS/'default.safetensors', 'pt') as f:
        config = parse_json(f.metadata()['colorized'])
    del config['format']
    config = ModelConfig.from_dict(config)
    like = SimpleNamespace(net=SimpleNamespace(cfg=config.net), config=config, name='default',
                           sha256={sha!r}, settings=config.sampling)
    return OnnxSampler(like, {folder!r}, open={name})
photo.load_colorizer = load
sys.exit(main(sys.argv[1:]))"""
IMPORTS = {'Python alone': 'pass', 'import torch': 'import torch',
           'import the package': 'import colorized.inference.colorizer, colorized.cli.photo'}

def cold(c, folders, args, tmp):
    "From the command to its end, in processes of their own that take turns"
    more = dict(sha=c.sha256, folder=str(folders['float32']))
    own = 'PyTorch, as the command chooses'
    codes = {
        own: COMMAND,
        'ONNX Runtime, float32': OTHER.format(opener='', name='open_session', **more),
        'OpenVINO, float32': OTHER.format(opener=inspect.getsource(OpenVino), name='OpenVino',
                                          **more)}
    def run(code, *argv):
        subprocess.run([sys.executable, '-c', code, *map(str, argv)], check=True,
                       capture_output=True)
    src = enlarged(tmp/'cold.jpg', 0.1)
    argv = src,'--out',tmp/'cold.out.jpg','--overwrite','--threads',args.threads[0]
    tasks = {k: partial(run, code, *argv) for k,code in codes.items()}
    tasks |= {k: partial(run, code) for k,code in IMPORTS.items()}
    size = ' × '.join(map(str, read_scan(src).shape))
    yield from timed(f"cold, {size}", args.threads[0], by_turns(tasks, args.pairs), c.sha256[:8],
                     own)

def quality(c, folders, args, tmp):
    "How the graphs of 8 bits are judged beside PyTorch in float32, 256 px, a seed each"
    those = contestants(c, folders, 1)
    evaluator = Evaluator(torch.stack([load_crop(o)[0] for o in args.valid]))
    L = rgb_to_L(evaluator.true)
    figures,first = Figures(f'{args.name}, 256 px', len(L)),None
    for k in (FIRST, *EIGHT):
        if k not in those: continue
        ab = torch.cat([those[k].sample(those[k].condition(l[None]), [i]) for i,l in enumerate(L)])
        rgb = render(L, ab)
        seen = evaluator.observe(rgb)
        yield from figures.of(f'backends: {k}', evaluator.summarize(rgb, observations=seen),
                              c.sha256[:8])
        if first is None: first = seen
        else:
            yield from figures.changes(f'backends: {k}', evaluator.compare(seen, first),
                                       c.sha256[:8])

PARTS = dict(speed=speed, cold=cold, colors=colors, quality=quality)

def add_options(p):
    p.add_argument('train', type=Path, nargs='?', help='photographs to calibrate on')
    p.add_argument('valid', type=Path, nargs='?', help='photographs to compare colors on')
    p.add_argument('--threads', type=int, nargs='+', default=[1, 2])
    for k,v in dict(pairs=20, photos=100, calibration=32).items():
        p.add_argument(f'--{k}', type=int, default=v)
    p.add_argument('--megapixels', type=float, nargs='+', default=[0.1, 1])
    p.add_argument('--only', nargs='+', choices=PARTS)
    p.add_argument('--float32', action='store_true', help='leave out the graphs of 8 bits')

def measure(args):
    if args.quick:
        args.pairs,args.photos,args.calibration,args.threads = 1,1,1,[1]
        args.train = args.valid = color_crops(args.tmp/'samples', 3, 300)
        args.float32,args.megapixels = True,[0.1]
        args.only = args.only or ['speed', 'colors']
    args.name = args.valid and args.valid.name
    args.train = list(photographs(args.train, args.calibration).values())
    args.valid = list(photographs(args.valid, args.photos).values())
    torch.set_num_threads(1)
    c = Colorizer.from_pretrained(device='cpu')
    export_model(c, args.tmp/'float32')
    folders = {'float32': args.tmp/'float32'}
    if not args.float32:
        folders['int8'] = quantize(c, folders['float32'], args.tmp/'int8', args.train)
    for name in args.only or PARTS: yield from PARTS[name](c, folders, args, args.tmp)
