"""Quality against cost: samplers, numbers of steps and initial noise of one model, judged on the
same photographs.

    python benchmarks/steps.py --valid DIR --out FILE.csv [SPEC …]

SPEC is SAMPLER:STEPS[:NOISE[:GAIN[:MEAN_OF[:GUIDANCE]]]][@SIZE]. A line is appended for each; what
is in the file already is not measured again. SPEC@SIZE: the network works at that size, 256 where
none is given, SPEC@own: at the size that is each photograph's default, and its chroma is judged on
the lightness at 256. The spec gray is no color at all. SAMPLER+agree lets parts that look alike
agree, SAMPLER+agree+keep (the default of the command) also lets small things keep the color of
the first guess. STEPS is their number; 6even spreads six evenly, where a model's last step is a
short one. GAIN is 1 where none is given, whatever the model's own; with a GUIDANCE other than 1 the
model is led away from that of `--weak` (chapter Distillation). KID, the two-sample figure and top-1
are also given as differences to those of a reference on the same photographs, with the interval of
the difference: what is not measurably worse has an interval that reaches zero.
`nbs/experiments/sampling.ipynb` draws the file."""
import argparse, csv, json
from dataclasses import replace
from pathlib import Path
import torch
from fastcore.basics import chunked
from PIL import Image
from shared import aged_lightness

DEFAULT = [f'{s}:{n}' for s in ('ddim','dpmpp_2m','ddpm') for n in (1,2,4,6,8,16,32,64)]
GROUP = 4 # photographs that go through the network together
# top1: agreement with the verdict on the true photograph or, with `--labels`, accuracy
MEASURES = ['kid', 'fid', 'two_sample', 'top1', 'colorfulness', 'delta_e2000', 'psnr']
COMPARED = ['kid', 'two_sample', 'top1'] # with the reference

def parse_spec(spec):
    "(changes of `SamplingSettings`, MEAN_OF, GUIDANCE) of a SPEC without its size"
    name,steps,noise,gain,mean_of,guidance = (spec.split(':')+['1']*4)[:6]
    sampler,*ways = name.split('+')
    if unknown := {*ways}-{'agree', 'keep'}:
        raise ValueError(f"{spec}: a sampler goes with +agree and +keep, got {unknown.pop()!r}")
    n = int(steps.removesuffix('even'))
    changes = dict(sampler=sampler, steps=n, temperature=float(noise), gain=float(gain),
                   average='agree' in ways, anchor='keep' in ways)
    if steps.endswith('even'): changes['last_step'] = 1/n
    return changes,int(mean_of),float(guidance)

def sample(c, weak, conds, rows, spec):
    "Chroma of the photographs of these numbers, each number its own seed"
    changes,mean_of,guidance = parse_spec(spec)
    # refuses a gain where the schedule does not begin with nothing but noise
    config = replace(c.config, sampling=c.settings.changed(**changes))
    net = c.net
    if guidance!=1:
        from colorized.training.distillation import autoguided
        net = autoguided(c.net, weak, guidance)
    c.denoise = config.denoiser(net)
    def draw(cond, seeds):
        drawn = [c.sample(cond, [k+1_000_000*i for k in seeds], **changes) for i in range(mean_of)]
        return torch.stack(drawn).mean(0)
    return torch.cat([draw(o, k) for o,k in zip(conds, chunked(rows, GROUP))])

def working_sizes(c, files, size):
    "Working size -> numbers of the photographs"
    from colorized.model.sampling import working_shape
    if size!='own': return {int(size or 256): [*range(len(files))]}
    out = {}
    for i,f in enumerate(files):
        side,_ = working_shape((min(Image.open(f).size),)*2, **c.grid())
        out.setdefault(side, []).append(i)
    return out

def top1(figures):
    "Top-1, be it accuracy or agreement"
    return next(o for k,o in figures.items() if k.startswith('top1'))

def differences(evaluator, observations, reference):
    "How much more than the reference, with intervals: `kid_over…`, `kid_over_low…` and so on"
    apart = evaluator.compare(observations, reference)
    apart['top1'] = top1(apart)
    row = {}
    for m in COMPARED:
        values = dict(over=apart[m].value, over_low=apart[m].low, over_high=apart[m].high)
        row |= {f'{m}_{k}': f'{v:.4g}' for k,v in values.items()}
    return row

def figures_of(evaluator, rgb, observations):
    "Columns of the figures themselves"
    figures,row = evaluator.summarize(rgb, observations=observations),{}
    figures['top1'] = top1(figures)
    for m in MEASURES:
        o = figures[m]
        row[o.name] = f'{o.value:.4g}'
        if m in COMPARED:
            ends = dict(low=o.low, high=o.high)
            row |= {f'{o.name}_{k}': '' if v is None else f'{v:.4g}' for k,v in ends.items()}
    return row

class Painter:
    "Colors the photographs as a spec says; those of one size stay encoded"
    def __init__(self, c, weak, files, L, aged):
        self.c,self.weak,self.files,self.L,self.aged = c,weak,files,L,aged
        self.size,self.conds = None,[]
    def lightness(self, size, rows):
        "What the network sees"
        from colorized.photo.lab import rgb_to_L
        rgb = load_crops(self.files, size, rows)
        return aged_lightness(rgb, rows) if self.aged else rgb_to_L(rgb)
    def encode(self, size):
        if size==self.size: return
        self.size,self.conds = size,[]
        for n,rows in working_sizes(self.c, self.files, size).items():
            conds = [self.c.condition(self.lightness(n, o)) for o in chunked(rows, GROUP)]
            self.conds.append((rows, conds))
    def __call__(self, spec):
        "(N,3,256,256) uint8"
        from colorized.photo.lab import combine_to_rgb, to_uint8
        from colorized.photo.resampling import up_chroma
        L = self.L
        spec,_,size = spec.partition('@')
        ab = torch.zeros(len(L), 2, 256, 256)
        if spec!='gray':
            self.encode(size)
            for rows,conds in self.conds:
                for i,a in zip(rows, sample(self.c, self.weak, conds, rows, spec)):
                    ab[i] = up_chroma(a[None], (256,256), L[i:i+1])[0]
        return torch.cat([to_uint8(combine_to_rgb(l[None], a[None])) for l,a in zip(L, ab)])

def load_crops(files, size, rows):
    "Central squares of the photographs of these numbers"
    from colorized.evaluation.folders import load_crop
    return torch.stack([load_crop(files[i], size)[0] for i in rows])

def pick_photos(folder, least, n):
    "Names and files of about `n` photographs, evenly spread"
    from colorized.evaluation.folders import list_photos
    found = [(k, f) for k,f in list_photos(folder).items() if min(Image.open(f).size)>=least]
    step = max(1, len(found)//n)
    return zip(*found[:step*n:step])

def read_done(path, labels):
    "Rows of the file that is there; exits when its columns are others"
    if not path.exists(): return []
    table = csv.DictReader(path.open())
    kind = 'agreement' if labels is None else 'accuracy'
    if not {'how', f'top1_{kind}_low'} <= {*table.fieldnames}:
        raise SystemExit(f"{path} has other columns than these figures: "
                         "name a file that does not exist yet")
    return list(table)

def append_row(path, row):
    new = not path.exists()
    with path.open('a', newline='') as f:
        w = csv.DictWriter(f, list(row))
        if new: w.writeheader()
        w.writerow(row)

def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    p.add_argument('specs', nargs='*', default=DEFAULT,
                   help='SAMPLER:STEPS[:NOISE[:GAIN[:MEAN_OF[:GUIDANCE]]]][@SIZE] '
                        '(default: three samplers, 1 to 64 steps)')
    p.add_argument('--valid', required=True)
    p.add_argument('--out', type=Path, required=True)
    p.add_argument('--model')
    p.add_argument('--weak', help='a worse checkpoint')
    p.add_argument('--worn', action='store_true',
                   help='show the network the gray of old film, and judge its colors on the clean '
                        'lightness (give it a file of its own)')
    p.add_argument('--least', type=int, default=1,
                   help='take only photographs whose shorter side has so many pixels')
    p.add_argument('--labels', type=Path,
                   help='JSON file: name of a photograph without its ending -> ImageNet class')
    p.add_argument('--set', nargs='+', metavar='KEY=VALUE', default=[],
                   help="settings other than the checkpoint's where a SPEC says nothing of them")
    p.add_argument('--n', type=int, default=250, help='photographs')
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--extractor', default='lite1')
    p.add_argument('--reference', default='ddim:16', help='what the others are compared with')
    return p.parse_args()

def main():
    args = parse_args()
    from colorized.cli.options import load_colorizer
    from colorized.evaluation.report import Evaluator
    from colorized.model.checkpoint import load_checkpoint
    from colorized.photo.lab import rgb_to_L
    torch.set_num_threads(args.threads)
    names,files = pick_photos(args.valid, args.least, args.n)
    true = load_crops(files, 256, range(len(files)))
    labels = None
    if args.labels:
        classes = json.loads(args.labels.read_text())
        labels = torch.tensor([classes[o] for o in names])
    classifier = args.extractor if args.extractor.startswith('lite') else 'lite1'
    evaluator = Evaluator(true, args.extractor, classifier, labels)
    c = load_colorizer(args.model, 'cpu', args.set)
    weak = load_checkpoint(args.weak)[0] if args.weak else None
    paint = Painter(c, weak, files, rgb_to_L(true), args.worn)
    # what else the figures depend on
    depends = ('reference', 'worn', 'least', 'labels', 'weak')
    how = ', '.join([*(f'{k} {getattr(args, k)}' for k in depends), *args.set])
    def head(spec):
        return dict(model=c.sha256[:12], set=Path(args.valid).name, spec=spec,
                    extractor=args.extractor, n=str(len(true)), how=how)
    done = [{k: r[k] for k in head('')} for r in read_done(args.out, labels)]
    todo = [o for o in args.specs if head(o) not in done]
    if todo:
        reference = evaluator.observe(paint(args.reference))
    for spec in todo:
        rgb = paint(spec)
        observations = evaluator.observe(rgb)
        row = head(spec) | figures_of(evaluator, rgb, observations)
        row |= differences(evaluator, observations, reference)
        append_row(args.out, row)
        print(*row.values(), flush=True)

if __name__=='__main__': main()
