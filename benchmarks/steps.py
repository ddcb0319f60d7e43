"""Quality against cost: samplers, numbers of steps and initial noise of one model, judged on the same photographs.

`python benchmarks/steps.py --valid DIR --out FILE.csv [SAMPLER:STEPS[:NOISE[:GAIN[:MEAN_OF[:GUIDANCE]]]][@SIZE] …]` appends a line for each; what is in the file already
is not measured again. SPEC@SIZE: the network works at that size, 256 where none is given, SPEC@own: at the size that is each photograph's default, and its chroma is judged on the lightness at 256. The spec gray is no colour at all. SAMPLER+agree lets parts that look alike agree, SAMPLER+agree+keep (the default of the command) also lets small things keep the colour of the first guess. STEPS is their number, or the timesteps themselves: 249-499-749-999. GAIN is 1 where none is given, whatever the model's own; with a GUIDANCE other than 1 the model is led away from that of `--weak` (chapter 11). KID, the two-sample figure and top-1 are also given as differences to those of a reference on the same photographs, with the
interval of the difference: what is not measurably worse has an interval that reaches zero. Chapter 13 draws the file."""
import argparse, csv, json
from dataclasses import replace
from pathlib import Path
import torch
from fastcore.basics import chunked
from PIL import Image
from shared import worn

DEFAULT = [f'{s}:{n}' for s in ('ddim','dpmpp_2m','ddpm') for n in (1,2,4,6,8,16,32,64)]
GROUP = 4 # photographs that go through the network together
MEASURES = ['kid', 'fid', 'two_sample', 'top1', 'colorfulness', 'delta_e2000', 'psnr'] # top1: agreement with the verdict on the true photograph or, with `--labels`, accuracy

def samplers():
    "Name -> a function under the samplers' contract; the ancestral one goes on with one generator"
    from colorized.theory.samplers import ddim, ddpm, dpmpp_2m
    gen = torch.Generator().manual_seed(1)
    return dict(ddim=ddim, dpmpp_2m=dpmpp_2m, ddpm=lambda *args, **kwargs: ddpm(*args, generator=gen, **kwargs))

def sample(c, weak, conds, rows, spec):
    "Chroma of the photographs of these numbers"
    name,steps,noise,gain,mean_of,guidance = (spec.split(':')+['1']*4)[:6]
    c.config = replace(c.config, gain=float(gain))
    c.denoise = c.config.denoiser(c.net)
    if guidance!='1':
        from colorized.training.distillation import autoguided
        c.denoise = c.config.denoiser(autoguided(c.net, weak, float(guidance)))
    name,*ways = name.split('+')
    fn,steps = samplers()[name],[*map(int, steps.split('-'))] if '-' in steps else int(steps)
    seeds = torch.tensor(rows).split(GROUP)
    draw = lambda o,k: torch.stack([c.chroma(o, (k+1_000_000*i).tolist(), steps, float(noise), fn, 'agree' in ways, 'keep' in ways) for i in range(int(mean_of))]).mean(0)
    return torch.cat([draw(o, k) for k,o in zip(seeds, conds)])

def working_sizes(files, size):
    "Working size -> numbers of the photographs"
    from colorized.model.sampling import working_shape
    if size!='own': return {int(size or 256): [*range(len(files))]}
    out = {}
    for i,f in enumerate(files): out.setdefault(working_shape((min(Image.open(f).size),)*2)[0], []).append(i)
    return out

def top1(figures):
    "Top-1, be it accuracy or agreement"
    return next(o for k,o in figures.items() if k.startswith('top1'))

def differences(judge, seen, reference):
    "Columns `kid_over…`, `two_sample_over…`, `top1_over…`: how much more than the reference, and the intervals"
    apart = judge.difference(seen, reference); apart['top1'] = top1(apart)
    return {f'{m}_over{end}': f'{o:.4g}' for m in ('kid', 'two_sample', 'top1') for end,o in zip(('', '_low', '_high'), (apart[m].value, apart[m].low, apart[m].high))}

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('specs', nargs='*', default=DEFAULT, help='SAMPLER:STEPS[:NOISE[:GAIN[:MEAN_OF[:GUIDANCE]]]][@SIZE] (default: three samplers, 1 to 64 steps)')
    p.add_argument('--valid', required=True); p.add_argument('--out', type=Path, required=True); p.add_argument('--model'); p.add_argument('--weak', help='a worse checkpoint')
    p.add_argument('--worn', action='store_true', help='show the network the gray of old film, and judge its colours on the clean lightness (give it a file of its own)')
    p.add_argument('--least', type=int, default=1, help='take only photographs whose shorter side has so many pixels')
    p.add_argument('--labels', type=Path, help='JSON file: name of a photograph without its ending -> ImageNet class')
    p.add_argument('--n', type=int, default=250, help='photographs'); p.add_argument('--threads', type=int, default=1)
    p.add_argument('--extractor', default='lite1'); p.add_argument('--reference', default='ddim:16', help='what the others are compared with')
    args = p.parse_args()
    from colorized.inference.colorizer import Colorizer
    from colorized.photo.lab import combine_to_rgb, rgb_to_L
    from colorized.photo.resampling import up_chroma
    from colorized.evaluation.report import Evaluator
    from colorized.evaluation.folders import list_photos, load_crop
    from colorized.photo.lab import to_uint8
    from colorized.model.checkpoint import load_checkpoint
    torch.set_num_threads(args.threads)
    names,files = zip(*((k,f) for k,f in list_photos(args.valid).items() if min(Image.open(f).size)>=args.least))
    every = slice(0, max(1, len(files)//args.n)*args.n, max(1, len(files)//args.n)); names,files = names[every],files[every]
    crops = lambda size, rows: torch.stack([load_crop(files[i], size)[0] for i in rows])
    true = crops(256, range(len(files))); L = rgb_to_L(true)
    classes = json.loads(args.labels.read_text()) if args.labels else None
    labels = torch.tensor([classes[o] for o in names]) if classes else None
    judge,c = Evaluator(true, args.extractor, args.extractor if args.extractor.startswith('lite') else 'lite1', labels),Colorizer.from_pretrained(args.model, 'cpu')
    look = lambda size, rows: worn(crops(size, rows), rows) if args.worn else rgb_to_L(crops(size, rows))
    how = ', '.join(f'{k} {getattr(args, k)}' for k in ('reference', 'worn', 'least', 'labels', 'weak')) # what else the figures depend on
    conds,weak = {},load_checkpoint(args.weak)[0] if args.weak else None
    key = lambda r: (r['model'], r['set'], r['spec'], r['extractor'], r['n'], r['how'])
    table = csv.DictReader(args.out.open()) if args.out.exists() else None
    if table and not {'how', f"top1_{'agreement' if labels is None else 'accuracy'}_low"} <= {*table.fieldnames}: raise SystemExit(f"{args.out} has other columns than these figures: name a file that does not exist yet")
    done = set(map(key, table or ()))
    def paint(spec):
        spec,_,size = spec.partition('@'); ab = torch.zeros(len(true), 2, 256, 256)
        if spec!='gray':
            if size not in conds: conds.clear(); conds[size] = [(rows, [c.condition(look(n, part)) for part in chunked(rows, GROUP)]) for n,rows in working_sizes(files, size).items()]
            for rows,looks in conds[size]:
                for i,a in zip(rows, sample(c, weak, looks, rows, spec)): ab[i] = up_chroma(a[None], (256,256), L[i:i+1])[0]
        return torch.cat([to_uint8(combine_to_rgb(l[None], a[None])) for l,a in zip(L, ab)])
    head = lambda spec: dict(model=c.sha256[:12], set=Path(args.valid).name, spec=spec, extractor=args.extractor, n=str(len(true)), how=how)
    todo = [o for o in args.specs if key(head(o)) not in done]
    if todo: reference = judge.look(paint(args.reference))
    for spec in todo:
        rgb = paint(spec); seen = judge.look(rgb); figures = judge.column(rgb, seen=seen); figures['top1'] = top1(figures)
        row = head(spec)
        for m in MEASURES:
            o = figures[m]; row[o.name] = f'{o.value:.4g}'
            if m in ('kid','two_sample','top1'): row |= {f'{o.name}_low': f'{o.low:.4g}' if o.low is not None else '', f'{o.name}_high': f'{o.high:.4g}' if o.high is not None else ''}
        row |= differences(judge, seen, reference)
        new = not args.out.exists()
        with args.out.open('a', newline='') as f:
            w = csv.DictWriter(f, list(row))
            if new: w.writeheader()
            w.writerow(row)
        print(*row.values(), flush=True)

if __name__=='__main__': main()
