"""How long does coloring take, from file to file, and how much memory?

    python benchmarks/colorize.py [--threads 2] [--repeats 5] [--json FILE] [--quick]
        [--only networks one samples cold sizes folder]

Warm figures come from one process; cold start and peak memory from processes of their own. The
photographs are the postcard of the home page, enlarged and grained. In the same run: the bare
forward pass of the two networks of the PyPI package `rz-colorization` (Zhang et al. 2016 and 2017)
on one 256×256 image, random weights; the aims are given in passes of ECCV16.
Needs `pip install 'colorized[bench]'`.
"""
import argparse, json, re, statistics, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np, torch
from PIL import Image
from colorized.batch.folder import colorize_folder
from colorized.inference.colorizer import Colorizer
from colorized.model.sampling import working_shape
from colorized.photo.lab import rgb_to_L
from colorized.photo.reading import read_scan
from colorized.photo.writing import render_strips, write_scan
from shared import CARD, described, machine, photograph

ECCV = 'ECCV16, float32, forward pass' # The unit of the aims
now = time.perf_counter

def seconds(f, repeats):
    "Seconds of each of `repeats` calls, after one that does not count"
    f()
    out = []
    for _ in range(repeats):
        start = now()
        f()
        out.append(now()-start)
    return out

def row(what, times, **more): return dict(what=what, seconds=times, **more)

def thumbnail(c, scan):
    "The lightness on the network's grid"
    return scan.thumbnail_L(working_shape(scan.shape, **c.grid()))

# What is measured: each yields rows (what, seconds or value, …)

def networks(c, args, tmp):
    "Ours beside the two of rz-colorization, on 256×256"
    from colorizers import eccv16, siggraph17
    card = np.array(Image.open(CARD).convert('L').resize((256,256)))
    L = rgb_to_L(torch.from_numpy(card)[None,None])
    peers = dict(ECCV16=eccv16(pretrained=False).eval(),
                 SIGGRAPH17=siggraph17(pretrained=False).eval())
    def forward(net, bf16):
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=bf16): net(L)
    for bf16 in (False, True):
        for name,net in peers.items():
            yield row(f"{name}, {'bf16' if bf16 else 'float32'}, forward pass",
                      seconds(lambda: forward(net, bf16), args.repeats))
    default,steps = c.bf16,c.settings.steps
    for bf16 in {False, default}:
        c.bf16 = bf16
        label = f"colorized, {'bf16' if bf16 else 'float32'}"
        aim = dict(aim=0.33, of=ECCV) if bf16==default else {}
        yield row(f"{label}, look and {steps} steps",
                  seconds(lambda: c.sample(c.condition(L), [0]), args.repeats), **aim)
        yield row(f"{label}, look alone", seconds(lambda: c.condition(L), args.repeats))
    c.bf16 = default

def one(c, args, tmp):
    "A JPEG of one megapixel, from file to file"
    src,dst = photograph(tmp/'one.jpg', 1),tmp/'one.out.jpg'
    whole = seconds(lambda: c.colorize(src).save(dst, overwrite=True), args.repeats)
    yield row("1 MP JPEG, file to file", whole, aim=1., of=ECCV)
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
    for k,v in parts.items(): yield row(f"  of it {k}", v[1:])

def samples(c, args, tmp):
    """Several colorings of one photograph

    In turn: company on the machine then troubles all alike."""
    src,times = photograph(tmp/'samples.jpg', 1),{}
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
        aim = dict(aim=2.) if n==4 and way!='file to files' else {}
        yield row(name(n, way), t, of=name(1, way) if n>1 else None, **aim)

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
    src,dst = photograph(tmp/'cold.jpg', 1),tmp/'cold.out.jpg'
    commands = ['pass'],['from colorized.cli.main import main; main()', '--help']
    bare,help_ = [seconds(lambda: run(*o), args.repeats) for o in commands]
    yield row("cold: python -c pass", bare)
    beyond = [b-a for a,b in zip(bare, help_)]
    yield row("cold: colorized --help, beyond python -c pass", beyond, aim=0.5)
    yield row("cold: colorized PHOTO, 1 MP",
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
            src = photograph(tmp/f'size{suffix}', mp, channels==1, bits)
            t,err = colorize_apart(src, tmp/f'size.out{suffix}', args)
            peaks[mp] = int(re.search(r'PEAK (\d+)', err)[1])
            aim = dict(aim=2.5e9) if bits==16 and mp==most else {}
            yield row(f"{kind}, {mp} MP, whole process", [t], peak=peaks[mp], **aim)
        slope = np.polyfit(np.array(list(peaks))*1e6, list(peaks.values()), 1)[0]
        yield row(f"{kind}, memory a pixel", [], value=float(slope)/(4*channels),
                  of=f"its {4*channels} bytes in float32", aim=3.)

def folder(c, args, tmp):
    "A folder through `batch`, and one photograph after the other; in four parts by turns"
    single,together,parts = [],[],4
    n = args.photos//parts
    for i in range(4): photograph(tmp/f'scan{i}.jpg', 1, seed=i)
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
    yield row(f"{name}, one at a time", [sum(single)])
    yield row(f"{name}, batch with {args.workers} workers", [sum(together)],
              of=f"{name}, one at a time", aim=1.)

# The table

def with_medians(rows):
    "Medians, ratios to the rows that `of` names, and whether the aims are met"
    medians = {}
    for r in rows:
        if r['seconds']:
            medians[r['what']] = r['median'] = statistics.median(r['seconds'])
            r['min'] = min(r['seconds'])
        if r.get('of') in medians:
            r['value'] = r['median']/medians[r['of']]
        r['unit'] = '×' if r.get('of') else ' GB' if 'peak' in r else ' s'
        measured = r.get('value') if r.get('of') else r.get('peak', r.get('median'))
        if 'aim' in r and measured is not None:
            r['met'] = bool(measured<=r['aim'])
    return rows

def table(rows):
    "Markdown"
    yield '| what | median s | min s | peak GB | ratio | to | aim | met |'
    yield '|---|---|---|---|---|---|---|---|'
    for r in rows:
        f = lambda k,spec,scale=1: format(r[k]/scale, spec) if k in r else ''
        aim = f('aim', '.3g', 1e9 if 'peak' in r else 1)+r['unit'] if 'aim' in r else ''
        met = {True: 'yes', False: 'NO', None: ''}[r.get('met')]
        cells = (r['what'], f('median', '.3f'), f('min', '.3f'), f('peak', '.2f', 1e9),
                 f('value', '.2f'), r.get('of') or '', aim, met)
        yield f"| {' | '.join(cells)} |"

PARTS = dict(networks=networks, one=one, samples=samples, cold=cold, sizes=sizes, folder=folder)

def parse_args():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    for k,v in dict(threads=2, repeats=5, workers=2, photos=200).items():
        p.add_argument(f'--{k}', type=int, default=v)
    for k,v in dict(samples=[1,4,16], megapixels=[1,12,50,100]).items():
        p.add_argument(f'--{k}', type=int, nargs='+', default=v)
    p.add_argument('--only', nargs='+', choices=PARTS, default=list(PARTS))
    p.add_argument('--json', type=Path)
    p.add_argument('--model', help='checkpoint (default: the packaged weights)')
    p.add_argument('--quick', action='store_true', help='a smoke test: the figures mean little')
    args = p.parse_args()
    if args.quick:
        args.repeats,args.samples,args.megapixels,args.photos = 1,[1,4],[1,4],6
    return args

def main():
    args = parse_args()
    torch.set_num_threads(args.threads)
    about,rows,c = machine(),[],Colorizer.from_pretrained(args.model, 'cpu')
    with tempfile.TemporaryDirectory() as tmp:
        for name in args.only:
            for r in PARTS[name](c, args, Path(tmp)):
                rows.append(r)
                figures = [f'{o:.3f} s' for o in r['seconds']]
                figures += [f'{k} {r[k]:.4g}' for k in ('peak','value') if k in r]
                print(r['what'], *figures, file=sys.stderr)
    print(f"{described(about)}, {args.threads} threads, {args.repeats} repeats; {c}\n")
    print(*table(with_medians(rows)), sep='\n')
    if args.json:
        args.json.write_text(json.dumps(dict(machine=about, model=repr(c), rows=rows), indent=1))

if __name__ == '__main__': main()
