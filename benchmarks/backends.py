"""Is another runtime faster than PyTorch on this processor, and are its colors the same?

    python benchmarks/backends.py TRAIN VALID [--threads 1 2] [--pairs 20] [--photos 100]
        [--only speed colors cold quality] [--float32] [--json FILE] [--quick]

ONNX Runtime and OpenVINO run the graphs of `colorized export`, in float32 and with weights and
activations of 8 bits (static, QDQ), calibrated on photographs of the folder TRAIN. VALID is the
folder of color photographs on which colors are compared. Contestants take turns in one process,
forwards and backwards, so that company on the machine troubles all alike; the ratio is the median
over the turns, with a 95 % bootstrap interval. Needs
`pip install 'colorized[bench,export,evaluate]'`.
"""
import argparse, hashlib, inspect, json, os, resource, subprocess, sys, tempfile, time
from functools import partial
from pathlib import Path
import numpy as np, torch
from colorized.evaluation.folders import list_photos, load_crop
from colorized.export.folder import MANIFEST, export_model
from colorized.export.graphs import trace_network
from colorized.export.runtime import OnnxSampler, open_session
from colorized.inference.colorizer import Colorizer
from colorized.model.sampling import working_shape
from colorized.photo.lab import rgb_to_L
from colorized.photo.reading import read_scan
from shared import described, machine, photograph, render

FIRST = 'PyTorch, float32'
EIGHT = 'ONNX Runtime, int8','OpenVINO, int8'
now = time.perf_counter

def cpu():
    "Seconds of computing, of this process and of those that it has waited for"
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(o.ru_utime+o.ru_stime for o in used)

# The contestants

class OpenVino:
    "A compiled graph with ONNX Runtime's `run`"
    def __init__(self, path, threads, precision='f32'):
        import openvino
        core = openvino.Core()
        hints = dict(PERFORMANCE_HINT='LATENCY', NUM_STREAMS='1',
                     INFERENCE_NUM_THREADS=threads or torch.get_num_threads(),
                     INFERENCE_PRECISION_HINT=precision)
        self.model = core.compile_model(core.read_model(path), 'CPU', hints)
    def run(self, _, given):
        out = self.model(given)
        return [out[i].copy() for i in range(len(self.model.outputs))]

class Recorder:
    "ONNX Runtime, and what it was given"
    def __init__(self, path, threads):
        self.session,self.given = open_session(path, threads),[]
    def run(self, names, given):
        self.given.append(given)
        return self.session.run(names, given)

class Feeds:
    "What was recorded, as `onnxruntime.quantization` reads it"
    def __init__(self, feeds): self.feeds = iter(feeds)
    def get_next(self): return next(self.feeds, None)

def recorded(colorizer, folder, photos):
    "What encoder and denoiser are given while photographs are colored: {name: [inputs, …]}"
    sessions = {}
    def opened(path, threads):
        sessions[path.stem] = Recorder(path, threads)
        return sessions[path.stem]
    sampler = OnnxSampler(colorizer, folder, open=opened)
    for i,L in enumerate(lightness(photos)):
        sampler.sample(sampler.condition(L), [i])
    return {k: v.given for k,v in sessions.items()}

def quantize(colorizer, folder, out, photos):
    """The folder `out`: the graphs of `folder` with 8 bits, calibrated on `photos`

    Convolutions and products of matrices only, a scale for each channel of a weight, 7 bits of
    it, without which AVX2 saturates."""
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process
    manifest,feeds = json.loads((folder/MANIFEST).read_text()),recorded(colorizer, folder, photos)
    out.mkdir()
    for name,graph in trace_network(colorizer.net).items():
        path = out/f'{name}.onnx'
        whole = out/'whole.onnx'
        whole.write_bytes(graph.SerializeToString())
        quant_pre_process(whole, whole, skip_symbolic_shape=True)
        q.quantize_static(whole, path, Feeds(feeds[name]), quant_format=q.QuantFormat.QDQ,
            op_types_to_quantize=['Conv', 'MatMul', 'Gemm'], per_channel=True, reduce_range=True,
            activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8)
        whole.unlink()
        manifest['files'][path.name]['sha256'] = hashlib.sha256(path.read_bytes()).hexdigest()
    for name in manifest['files'].keys()-{o.name for o in out.iterdir()}:
        (out/name).write_bytes((folder/name).read_bytes())
    (out/MANIFEST).write_text(json.dumps(manifest))
    return out

def contestants(colorizer, folders, threads):
    "Name -> colorizer, the one that all are compared with first"
    plain = Colorizer(colorizer.net, colorizer.config, colorizer.name, colorizer.sha256, 'cpu')
    native,plain.bf16 = plain.bf16,False
    made = {FIRST: plain}
    if native:
        made['PyTorch, bfloat16'] = colorizer
    for bits,folder in folders.items():
        made[f'ONNX Runtime, {bits}'] = OnnxSampler(colorizer, folder, threads)
        made[f'OpenVINO, {bits}'] = OnnxSampler(colorizer, folder, threads, OpenVino)
    if native:
        half = lambda path, threads: OpenVino(path, threads, 'bf16')
        made['OpenVINO, bfloat16'] = OnnxSampler(colorizer, folders['float32'], threads, half)
    return made

# Figures

def bootstrap(values, n=10_000):
    "95 % interval of the median"
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

def rows(what, times, first=FIRST):
    "Medians, and how many times as fast as the first"
    base = np.array(times[first])
    for k,t in times.items():
        t = np.array(t)
        faster = {} if k==first else {
            name: (float(np.median(o)), *bootstrap(o))
            for name,o in zip(('wall', 'cpu'), (base/t).T)}
        yield dict(what=what, who=k, n=len(t), seconds=np.median(t, 0).tolist(), faster=faster,
                   all=t.tolist())

def lightness(photos):
    "(1,1,256,256) of each file's center"
    for o in photos:
        yield rgb_to_L(load_crop(o)[0][None])

# What is measured: each yields rows

def speed(c, folders, args, tmp):
    "The network alone, and a photograph from file to file, with all defaults"
    small,large = [photograph(tmp/f'{n}.jpg', n) for n in (0.1, 1)]
    lights = [torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))*100]
    scan = read_scan(large)
    lights.append(scan.thumbnail_L(working_shape(scan.shape, **c.grid())))
    for threads in args.threads:
        torch.set_num_threads(threads)
        those = contestants(c, folders, threads)
        for L in lights:
            network = lambda o: (lambda: o.sample(o.condition(L), [0]))
            what = f"network, {L.shape[2]} × {L.shape[3]}, {threads} threads"
            yield from rows(what, by_turns({k: network(o) for k,o in those.items()}, args.pairs))
        for src in small, large:
            dst = tmp/'out.jpg'
            file = lambda o: (lambda: o.colorize(src).save(dst, overwrite=True))
            size = ' × '.join(map(str, read_scan(src).shape))
            what = f"file to file, {size}, {threads} threads"
            yield from rows(what, by_turns({k: file(o) for k,o in those.items()}, args.pairs))
    torch.set_num_threads(1)

def colors(c, folders, args, tmp):
    "How far the colors are from PyTorch's, with the defaults, a seed for each photograph"
    from colorized.evaluation.color import delta_e
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
        o = np.array(o)
        yield dict(what='colors', who=k, n=len(o), largest=o[:,0].max(),
                   median_largest=np.median(o[:,0]), mean=o[:,1].mean(), worst_mean=o[:,1].max(),
                   all=o.tolist())

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
    src = photograph(tmp/'cold.jpg', 0.1)
    argv = src,'--out',tmp/'cold.out.jpg','--overwrite','--threads',args.threads[0]
    tasks = {k: partial(run, code, *argv) for k,code in codes.items()}
    tasks |= {k: partial(run, code) for k,code in IMPORTS.items()}
    size = ' × '.join(map(str, read_scan(src).shape))
    yield from rows(f"cold, {size}, {args.threads[0]} threads", by_turns(tasks, args.pairs), own)

def quality(c, folders, args, tmp):
    "The protocol of `colorized evaluate`: PyTorch, the graphs of 8 bits, and the difference"
    from colorized.evaluation.report import Evaluator
    those = contestants(c, folders, 1)
    true = torch.stack([load_crop(o)[0] for o in args.valid])
    L = rgb_to_L(true)
    def colored(o):
        return render(L, torch.cat([o.sample(o.condition(l[None]), [i]) for i,l in enumerate(L)]))
    outputs = {k: colored(those[k]) for k in (FIRST, *EIGHT) if k in those}
    about = f"{len(true)} photographs of VALID, shorter side 256, central 256×256, a seed each"
    report = Evaluator(true, protocol=about).report(outputs, progress=say)
    (args.json or tmp/'quality').with_suffix('.md').write_text(report.markdown())
    print(report.markdown())
    yield dict(what='quality', who=', '.join(outputs), n=len(true),
               report=json.loads(report.to_json()))

# The tables

PARTS = dict(speed=speed, cold=cold, colors=colors, quality=quality)

def say(line): print(line, file=sys.stderr, flush=True)

def cells(r):
    "A row's cells"
    if 'seconds' in r:
        times = [f'{o:.3f}' for o in r['seconds']]
        faster = ['{:.2f} [{:.2f}, {:.2f}]'.format(*r['faster'][o]) if r['faster'] else '1'
                  for o in ('wall', 'cpu')]
        return [r['what'], r['who'], r['n'], *times, *faster]
    if r['what']=='colors':
        keys = 'largest', 'median_largest', 'mean', 'worst_mean'
        return [r['what'], r['who'], r['n'], *(f'{r[k]:.4f}' for k in keys)]
    return [r['what'], r['who'], r['n']]

def versions():
    "Of the runtimes"
    import onnxruntime, openvino
    return f"ONNX Runtime {onnxruntime.__version__}, OpenVINO {openvino.__version__.split('-')[0]}"

def parse_args():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('train', type=Path, help='photographs to calibrate on')
    p.add_argument('valid', type=Path, help='photographs to compare colors on')
    p.add_argument('--threads', type=int, nargs='+', default=[1, 2])
    for k,v in dict(pairs=20, photos=100, calibration=32).items():
        p.add_argument(f'--{k}', type=int, default=v)
    p.add_argument('--only', nargs='+', choices=PARTS, default=list(PARTS))
    p.add_argument('--json', type=Path)
    p.add_argument('--float32', action='store_true', help='leave out the graphs of 8 bits')
    p.add_argument('--quick', action='store_true', help='a smoke test: the figures mean little')
    args = p.parse_args()
    if args.quick:
        args.pairs,args.photos,args.calibration = 2,4,2
    every = lambda folder, n: evenly([*list_photos(folder).values()], n)
    args.train,args.valid = every(args.train, args.calibration),every(args.valid, args.photos)
    return args

def evenly(items, n):
    "`n` of them, from all over the list"
    return [items[i*len(items)//n] for i in range(min(n, len(items)))]

def main():
    args = parse_args()
    torch.set_num_threads(1)
    about,found,c = machine(),[],Colorizer.from_pretrained(device='cpu')
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        export_model(c, tmp/'float32')
        folders = {'float32': tmp/'float32'}
        if not args.float32:
            folders['int8'] = quantize(c, folders['float32'], tmp/'int8', args.train)
        for name in args.only:
            for r in PARTS[name](c, folders, args, tmp):
                found.append(r)
                say(f"| {' | '.join(map(str, cells(r)))} |")
                if args.json:
                    said = dict(machine=about, versions=versions(), model=repr(c), rows=found)
                    args.json.write_text(json.dumps(said, indent=1))
    print(f"{described(about)}; {versions()}; {c}; load {os.getloadavg()[0]:.1f} at the end")
    for r in found:
        print(f"| {' | '.join(map(str, cells(r)))} |")

if __name__ == '__main__': main()
