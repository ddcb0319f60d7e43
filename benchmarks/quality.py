"""How good a checkpoint's colors are on folders of photographs: KID, top-1, ΔE2000 and more

    python benchmarks/run.py quality VALID OUTSIDE --size 256 --csv FILE
    python benchmarks/run.py quality SCENES THINGS --csv FILE
    python benchmarks/run.py quality OBJECTS --labels OBJECTS.json --extractor lite2 --csv FILE
    python benchmarks/run.py quality VALID --model default NEW.safetensors   # differences as well
    python benchmarks/run.py quality --gather CLONES PHOTOS --outside gcompris-qt-data_*.deb

The photographs are colored from their lightness with the checkpoint's defaults and judged on their
central 256×256 pixels, at a shorter side of 256; beside them gray, and what the network guesses
before anything is drawn. `--size 256` has the network work at that size, without it at the size
that each photograph gets by default. `--old-film` shows the network the gray of old film as well.

`first guess` figures compare the mean of all colorings that the network expects with the truth, on
cells of 4 px: distance of the chroma, share of the colorful cells whose hue is within 30 degrees,
and how much of the true chroma is left unexplained at the strength that suits the guess best.

`--gather` writes photographs that nothing here was trained on to PHOTOS: `scenes`, `things` and
`objects` (with `objects.json`, their ImageNet classes) out of CLONES, a folder of clones named
owner+name that `support/photo_sets.py` lists, `outside` out of Debian's package gcompris-qt-data.
Near duplicates of what lies in the folders `--apart` are left out."""
import json
from pathlib import Path
import torch
from colorized.inference.colorizer import Colorizer
from benchmarks.support import first_guess, photo_sets
from benchmarks.support.coloring import (Figures, Painter, judge, left_gray, name_of,
                                        photographs)
from benchmarks.support.results import Figure
from benchmarks.support.samples import color_crops

GUESSES = 'first_guess_distance', 'right_hue', 'unexplained'
TOP1 = 'top1_agreement', 'top1_accuracy'

def add_options(p):
    p.add_argument('folders', type=Path, nargs='*', help='color photographs')
    p.add_argument('--model', nargs='+', default=['default'],
                   help='checkpoints; of each but the first also the differences to the first')
    p.add_argument('--size', default='own', help='shorter side for the network (default: its own)')
    p.add_argument('--labels', type=Path, help='JSON: name of a photograph -> ImageNet class')
    p.add_argument('--extractor', default='lite1', help='network that judges')
    p.add_argument('--n', type=int, help='so many photographs of each folder, evenly spread')
    p.add_argument('--old-film', action='store_true', help='the same from the gray of old film')
    p.add_argument('--gather', type=Path, nargs=2, metavar=('CLONES', 'PHOTOS'))
    p.add_argument('--outside', type=Path, help='with --gather: the package gcompris-qt-data')
    p.add_argument('--apart', type=Path, nargs='*', default=[])

def drawn(c, files, args, aged=False):
    return Painter(c, files.values(), args.size, aged)()

def of_models(files, models, args, figures, evaluator, gray):
    "Of what each checkpoint draws"
    first = None
    for c in models:
        rgb,sha = drawn(c, files, args),c.sha256[:8]
        seen = evaluator.observe(rgb)
        yield from figures.of('quality: drawn', evaluator.summarize(rgb, observations=seen), sha)
        yield from figures.of('quality: drawn', evaluator.compare(seen, gray), sha, '_over_gray',
                              TOP1)
        if first is None: first = seen
        else: yield from figures.changes('quality: drawn', evaluator.compare(seen, first), sha)
        if args.old_film:
            aged = evaluator.summarize(drawn(c, files, args, aged=True))
            yield from figures.of('quality: old film', aged, sha)

def of_guesses(files, models, name):
    "Of what each checkpoint guesses first"
    first = None
    for c in models:
        rows,sha = first_guess.look(c.net.eval(), c.config, list(files.values())),c.sha256[:8]
        about = 'quality: first guess',name,len(rows)
        for metric,value in zip(GUESSES, first_guess.summarize(rows)):
            yield Figure(*about, metric, value, weights=sha)
        yield Figure(*about, 'chroma', rows[:,5].mean(), weights=sha)
        if first is None: first = rows
        else:
            for metric,o in zip(GUESSES, first_guess.differences(rows, first)):
                yield Figure(*about, f'{metric}_change', *o, weights=sha)

def of_folder(folder, models, args):
    files = photographs(folder, args.n)
    figures = Figures(name_of(folder, args.size, args.extractor), len(files))
    labels = json.loads(args.labels.read_text()) if args.labels else None
    evaluator = judge(files, args.extractor, labels)
    gray = evaluator.observe(left_gray(files.values()))
    yield from figures.of('quality: gray', evaluator.summarize(None, observations=gray))
    yield from figures.of('quality: true colors', evaluator.summarize_truth(),
                          names=('colorfulness', 'top1_accuracy'))
    yield from of_models(files, models, args, figures, evaluator, gray)
    yield from of_guesses(files, models, Path(folder).name)

def measure(args):
    torch.set_num_threads(1)
    if args.gather:
        photo_sets.gather(*args.gather, args.apart)
        if args.outside: photo_sets.unpack(args.outside, args.gather[1]/'outside')
        return
    models = [Colorizer.from_pretrained(o, 'cpu') for o in args.model]
    if args.quick: args.folders,args.size = [color_crops(args.tmp/'samples', 12, 300)],'256'
    for folder in args.folders or [None]: yield from of_folder(folder, models, args)
