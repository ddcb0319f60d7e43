"""What sampling settings are worth: sampler, steps, noise, size, each wrapper left out

    python benchmarks/run.py sampling VALID --csv FILE
    python benchmarks/run.py sampling OUTSIDE --only wrappers size --csv FILE
    python benchmarks/run.py sampling VALID --also 'gain=1.2' 'steps=8 sampler=ddim' --csv FILE

The same photographs are drawn with the defaults of the checkpoint and with one of them changed,
each with its number as its seed, and judged as by `quality`. Rows whose metric ends in `_change`
are differences to the defaults on the same photographs with a 95 % interval: what is not measurably
worse has an interval that reaches zero. What FILE has of these weights is not measured again."""
from pathlib import Path
import torch
from colorized.cli.options import parse_pair
from colorized.inference.colorizer import Colorizer
from colorized.model.checkpoint import parse_settings
from benchmarks.support.coloring import Figures, Painter, judge, name_of, photographs
from benchmarks.support.samples import color_crops

OFF = { # A wrapper -> what leaves it out
    'averaging': dict(average=False), 'anchoring': dict(anchor=False),
    'paler reds': dict(red_shrinkage=0.)}
ALL_OFF = {k: v for o in OFF.values() for k,v in o.items()}
SAMPLERS = dict(ddim='DDIM', ddpm='ancestral DDPM') # beside the default, DPM-Solver++(2M)

def studies():
    "Study -> setting -> what it changes; `size`: the side at which the network works"
    noises,gains,sizes = (1., 0.85, 0.7, 0.5, 0.), (0.85, 1.2, 1.4), (256, 320, 384, 512)
    return dict(
        sampler={f'{name}, {n} steps': dict(sampler=k, steps=n)
                 for k,name in SAMPLERS.items() for n in (6, 16)},
        steps={f'{n} steps': dict(steps=n) for n in (1, 2, 4, 8, 16)} |
              {'6 steps, evenly spread': dict(steps=6, last_step=1/6)},
        noise={f'temperature {o:g}': dict(temperature=o) for o in noises},
        gain={f'gain {o:g}': dict(gain=o) for o in gains},
        wrappers={f'without {k}': v for k,v in OFF.items()} | {
            'without any': ALL_OFF, 'anchored until SNR 1': dict(anchor_until=1.)},
        size={f'{o} px': dict(size=o) for o in sizes})

def add_options(p):
    p.add_argument('folder', type=Path, nargs='?', help='color photographs')
    p.add_argument('--only', nargs='+', choices=studies())
    p.add_argument('--also', nargs='+', default=[], metavar='KEY=VALUE …',
                   help='further settings, each in quotes')
    p.add_argument('--model', help='checkpoint (default: the packaged one)')
    p.add_argument('--size', default='own', help='shorter side for the network (default: its own)')
    p.add_argument('--least', type=int, default=1, help='pixels of the shorter side, at least')
    p.add_argument('--n', type=int, default=250, help='photographs, evenly spread')
    p.add_argument('--extractor', default='lite1')

def todo(args, settings):
    "(experiment, changes) of all that is asked for, but for what the settings are already"
    for name,study in studies().items():
        if args.only and name not in args.only: continue
        for setting,changes in study.items():
            if 'size' in changes or settings.changed(**changes)!=settings:
                yield f'{name}: {setting}',changes
    for o in args.also:
        yield f'also: {o}',parse_settings(dict(parse_pair('--also', k) for k in o.split()))

def measure(args):
    torch.set_num_threads(1)
    if args.quick:
        args.folder,args.size = color_crops(args.tmp/'samples', 10, 300),'256'
        args.only = args.only or ['wrappers']
    files = photographs(args.folder, args.n, args.least)
    c = Colorizer.from_pretrained(args.model, 'cpu')
    paint,evaluator = Painter(c, files.values(), args.size),judge(files, args.extractor)
    name = name_of(args.folder, args.size, args.extractor, args.least)
    figures,sha = Figures(name, len(files)),c.sha256[:8]
    def is_new(experiment): return (experiment, name, sha) not in args.done
    left = [(k, v) for k,v in todo(args, c.settings) if is_new(k)]
    if not left: return
    rgb = paint()
    defaults = evaluator.observe(rgb)
    if is_new('defaults: none changed'):
        measured = evaluator.summarize(rgb, observations=defaults)
        yield from figures.of('defaults: none changed', measured, sha)
    for experiment,changes in left:
        rgb = paint(**changes)
        seen = evaluator.observe(rgb)
        measured = evaluator.summarize(rgb, observations=seen)
        yield from figures.of(experiment, measured, sha)
        yield from figures.changes(experiment, evaluator.compare(seen, defaults), sha)
