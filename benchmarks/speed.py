"""How long coloring takes from file to file, and how much memory

    python benchmarks/run.py speed --csv FILE                       # 20 minutes on two cores
    python benchmarks/run.py speed --only networks one samples

| part | what is measured |
|---|---|
| `networks` | encoder and all steps on 256×256, beside one forward pass of ECCV16 and SIGGRAPH17 |
| `one` | a JPEG of one megapixel, read to written, in a warm process, and its parts |
| `samples` | 1, 4 and 16 colorings of it: until the chroma is there, and until all are written |
| `cold` | the command in a new process, with `--help` and with a photograph |
| `sizes` | up to 100 megapixels, each in a new process: seconds and peak memory |
| `folder` | 200 photographs one after the other, and through `colorize_folder` |

Medians of `--repeats` calls after one that does not count, `low` and `high` the quickest and the
slowest; 16 samples, the large sizes and the folder run once. `times` is a ratio of medians. The
photographs are the postcard of the home page, enlarged and grained. ECCV16 and SIGGRAPH17 are the
networks of the PyPI package `rz-colorization` (Zhang et al. 2016 and 2017) with random weights:
`pip install 'colorized[bench]'`. Run it on a machine that does nothing else."""
import re, subprocess, sys
from importlib.util import find_spec
import numpy as np, torch
from PIL import Image
from colorized.batch.folder import colorize_folder
from colorized.inference.colorizer import Colorizer
from colorized.model.sampling import working_shape
from colorized.photo.lab import rgb_to_L
from colorized.photo.reading import read_scan
from colorized.photo.writing import render_strips, write_scan
from benchmarks.support.machine import median, now, on_this_machine, seconds
from benchmarks.support.results import Figure
from benchmarks.support.samples import CARD, enlarged

PEERS = 'ECCV16', 'SIGGRAPH17' # with random weights
ECCV = 'ECCV16, float32' # What ours is compared with

def thumbnail(c, scan):
    "The lightness on the network's grid"
    return scan.thumbnail_L(working_shape(scan.shape, **c.grid()))

# What is measured: each yields (what, seconds, {`of`: compared with which; `peak`: bytes; …})

def peers():
    "Networks of others, where they are installed"
    if not find_spec('colorizers'):
        print("ECCV16 and SIGGRAPH17 are left out: pip install rz-colorization", file=sys.stderr)
        return {}
    from colorizers import eccv16, siggraph17
    made = dict(ECCV16=eccv16(pretrained=False), SIGGRAPH17=siggraph17(pretrained=False))
    return {k: o.eval() for k,o in made.items()}

def networks(c, args, tmp):
    "Ours beside the two of rz-colorization, on 256×256"
    card = np.array(Image.open(CARD).convert('L').resize((256,256)))
    L = rgb_to_L(torch.from_numpy(card)[None,None])
    def forward(net, bf16):
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=bf16): net(L)
    precision,others = {False: 'float32', True: 'bf16'},peers()
    for bf16 in precision:
        for name,net in others.items():
            yield (f"{name}, {precision[bf16]}",
                   seconds(lambda: forward(net, bf16), args.repeats))
    default,steps = c.bf16,c.settings.steps
    for bf16 in sorted({False, default}):
        c.bf16 = bf16
        label = f"colorized, {precision[bf16]}"
        yield (f"{label}, look and {steps} steps",
               seconds(lambda: c.sample(c.condition(L), [0]), args.repeats), dict(of=ECCV))
        yield f"{label}, look alone", seconds(lambda: c.condition(L), args.repeats)
    c.bf16 = default

def one(c, args, tmp):
    "A JPEG of one megapixel, from file to file"
    src,dst = enlarged(tmp/'one.jpg', 1),tmp/'one.out.jpg'
    whole = seconds(lambda: c.colorize(src).save(dst, overwrite=True), args.repeats)
    yield "1 MP JPEG, file to file", whole, dict(of=ECCV)
    parts = {k: [] for k in ('decode', 'look', 'steps', 'paint', 'encode')}
    for _ in range(args.repeats+1):
        t = [now()]
        scan = read_scan(src)
        t.append(now())
        cond = c.condition(thumbnail(c, scan))
        t.append(now())
        ab = c.sample(cond, [0])
        t.append(now())
        rgb = np.concatenate(list(render_strips(scan, ab)))
        t.append(now())
        write_scan(dst, rgb, scan, overwrite=True)
        t.append(now())
        for k,a,b in zip(parts, t, t[1:]): parts[k].append(b-a)
    for k,v in parts.items(): yield f"of it {k}", v[1:]

def samples(c, args, tmp):
    """Several colorings of one photograph

    In turn: company on the machine then troubles all alike."""
    src,times = enlarged(tmp/'samples.jpg', 1),{}
    cond = c.condition(thumbnail(c, read_scan(src)))
    def written(n):
        out = c.colorize(src, n_samples=n)
        for i in range(n): out.save(tmp/f'samples.{i}.jpg', i, overwrite=True)
    ways = {'network alone': lambda n: c.sample(cond, list(range(n))),
            'file to chroma': lambda n: c.colorize(src, n_samples=n),
            'file to files': written}
    for r in range(args.repeats+1):
        for n in args.samples:
            if n>4 and r>1: continue
            for way,f in ways.items():
                start = now()
                f(n)
                if r: times.setdefault((n, way), []).append(now()-start)
    name = lambda n,way: f"{n} sample{'s'*(n>1)}, {way}"
    for (n,way),t in times.items():
        yield name(n, way), t, dict(of=name(1, way)) if n>1 else {}

# ru_maxrss also counts the process that started this one
CHILD = r"""import re, resource, sys
from pathlib import Path
from colorized.cli.main import main
code,status = main(sys.argv[1:]),Path('/proc/self/status')
if status.exists(): peak = int(re.search(r'VmHWM:\s+(\d+)', status.read_text())[1])
else: peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print('PEAK', peak*(1 if sys.platform=='darwin' else 1024), file=sys.stderr)
sys.exit(code)"""

def run(*argv):
    "Run Python in a process of its own: (seconds, what it wrote to stderr)"
    start = now()
    p = subprocess.run([sys.executable, '-c', *map(str, argv)], capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv[1:]))} failed: {p.stderr}")
    return now()-start,p.stderr

def colorize_apart(src, dst, args):
    "Run the command in a process of its own"
    return run(CHILD, src, '--out', dst, '--threads', args.threads, '--overwrite')

def cold(c, args, tmp):
    "From the command to its end, model loading included"
    src,dst = enlarged(tmp/'cold.jpg', 1),tmp/'cold.out.jpg'
    commands = ['pass'],['from colorized.cli.main import main; main()', '--help']
    bare,help_ = [seconds(lambda: run(*o), args.repeats) for o in commands]
    yield "python -c pass", bare
    beyond = [b-a for a,b in zip(bare, help_)]
    yield "colorized --help, beyond python -c pass", beyond
    yield ("colorized PHOTO, 1 MP",
           seconds(lambda: colorize_apart(src, dst, args), args.repeats))

KINDS = { # suffix, channels, bits
    'JPEG, 8-bit RGB': ('.jpg', 3, 8), 'JPEG, 8-bit gray': ('.jpg', 1, 8),
    'TIFF, 8-bit RGB': ('.tif', 3, 8), 'TIFF, 16-bit gray': ('.tif', 1, 16),
    'TIFF, 16-bit RGB': ('.tif', 3, 16)}

def sizes(c, args, tmp):
    "Small and large photographs: time and peak memory of the whole process"
    least,most = min(args.megapixels),max(args.megapixels)
    for kind,(suffix,channels,bits) in KINDS.items():
        peaks = {}
        for mp in args.megapixels if kind=='JPEG, 8-bit RGB' else (least, most):
            src = enlarged(tmp/f'size{suffix}', mp, channels==1, bits)
            t,err = colorize_apart(src, tmp/f'size.out{suffix}', args)
            peaks[mp] = int(re.search(r'PEAK (\d+)', err)[1])
            yield f"{kind}, {mp} MP, whole process", [t], dict(peak_gb=peaks[mp]/1e9)
        slope = np.polyfit(np.array(list(peaks))*1e6, list(peaks.values()), 1)[0]
        yield kind, [], dict(bytes_a_pixel=float(slope))

def folder(c, args, tmp):
    "A folder through `batch`, and one photograph after the other; in four parts by turns"
    single,together,parts = [],[],4
    n = args.photos//parts
    for i in range(4): enlarged(tmp/f'scan{i}.jpg', 1, seed=i)
    for k in range(parts):
        src = tmp/f'scans{k}'
        src.mkdir()
        for i in range(n): (src/f'{i:03d}.jpg').write_bytes((tmp/f'scan{i%4}.jpg').read_bytes())
        start = now()
        for p in sorted(src.iterdir()): c.colorize(p).save(tmp/'single.jpg', overwrite=True)
        single.append(now()-start)
        start = now()
        done = colorize_folder(src, tmp/f'color{k}', c, workers=args.workers, progress=False)
        together.append(now()-start)
        if done.done!=n: raise RuntimeError(f"the batch failed: {done}")
    name = f"{parts*n} photographs of 1 MP"
    yield f"{name}, one at a time", [sum(single)]
    yield (f"{name}, batch with {args.workers} workers", [sum(together)],
           dict(of=f"{name}, one at a time"))

PARTS = dict(networks=networks, one=one, samples=samples, cold=cold, sizes=sizes, folder=folder)

def add_options(p):
    for k,v in dict(threads=2, repeats=5, workers=2, photos=200).items():
        p.add_argument(f'--{k}', type=int, default=v)
    for k,v in dict(samples=[1,4,16], megapixels=[1,12,50,100]).items():
        p.add_argument(f'--{k}', type=int, nargs='+', default=v)
    p.add_argument('--only', nargs='+', choices=PARTS)
    p.add_argument('--model', help='checkpoint (default: the packaged weights)')

def figures(part, rows, set, weights):
    "Of what a part yields"
    medians = {}
    for what,times,*more in rows:
        more,sha = dict(*more),'' if what.startswith(PEERS) else weights
        def figure(metric, value):
            return Figure(f'speed {part}: {what}', set, max(1, len(times)), metric, value,
                          weights=sha)
        if times:
            medians[what] = median(times)
            yield figure('seconds', medians[what])
        if len(times)>1: yield figure('seconds_min', min(times))
        of = more.pop('of', None)
        if of in medians: yield figure(f'times {of}', medians[what]/medians[of])
        for k,v in more.items(): yield figure(k, v)

def measure(args):
    if args.quick:
        args.repeats,args.samples,args.megapixels,args.photos = 1,[1,4],[1,4],4
        args.only = args.only or ['networks', 'one', 'samples', 'folder']
    torch.set_num_threads(args.threads)
    c,set = Colorizer.from_pretrained(args.model, 'cpu'),on_this_machine('postcard', args.threads)
    for name in args.only or PARTS:
        yield from figures(name, PARTS[name](c, args, args.tmp), set, c.sha256[:8])
