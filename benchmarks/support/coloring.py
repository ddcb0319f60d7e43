"Photographs colored as a checkpoint does with some settings, and how they are judged"
import warnings
from pathlib import Path
import numpy as np, torch
from PIL import Image
from fastcore.basics import chunked
from colorized.evaluation.distances import bootstrap
from colorized.evaluation.folders import list_photos, load_crop
from colorized.evaluation.report import Evaluator
from colorized.model.sampling import working_shape
from colorized.photo.lab import combine_to_rgb, rgb_to_L, to_uint8
from colorized.photo.resampling import up_chroma
from colorized.training.aging import film_weights, lightness, simulate_aging
from .results import Figure, Missing

warnings.filterwarnings('ignore', 'FID from') # which is not shown

GROUP = 4 # photographs that go through the network together
SIDE = 256 # at which all is judged
METRICS = dict(kid='kid_x1000', two_sample='two_sample', top1_agreement='top1',
               top1_accuracy='top1', colorfulness='colorfulness', delta_e2000='delta_e2000',
               psnr='psnr')
COMPARED = ('kid', 'two_sample', 'top1_agreement', 'top1_accuracy', 'colorfulness', 'delta_e2000')

def evenly(items, n=None):
    "About `n` of them, from all over the list; None: all"
    items = list(items)
    n = len(items) if n is None else min(n, len(items))
    return [items[i*len(items)//n] for i in range(n)]

def photographs(folder, n=None, least=1):
    "Name -> file of about `n` photographs whose shorter side has at least so many pixels"
    if folder is None: raise Missing("needs a folder of color photographs (or --quick)")
    try: files = list_photos(folder)
    except NotADirectoryError as e: raise Missing(str(e)) from None
    found = [(k, f) for k,f in files.items() if least==1 or min(Image.open(f).size)>=least]
    if len(found)<2: raise Missing(f"{folder} holds {len(found)} such photographs: 2 are needed")
    return dict(evenly(found, n))

def crops(files, size=SIDE):
    "Central squares, (N,3,size,size) uint8"
    return torch.stack([load_crop(o, size)[0] for o in files])

def render(L, ab):
    """Lightness (N,1,H,W) and chroma of any size -> (N,3,H,W) uint8

    One by one: the same bits in company as alone."""
    def one(l, o):
        return to_uint8(combine_to_rgb(l[None], up_chroma(o[None], l.shape[1:], l[None])))
    return torch.cat([one(l, o) for l,o in zip(L, ab)])

def left_gray(files):
    "Photographs without their color, as those are judged who leave it out, (N,3,256,256) uint8"
    L = rgb_to_L(crops(files))
    green = to_uint8(combine_to_rgb(L, torch.zeros(len(L), 2, SIDE, SIDE)))[:,1:2]
    return green.expand(-1, 3, -1, -1) # up to rounding as red and blue; now equal to them

def aged_lightness(true, numbers):
    "Lightness of the photographs as old film would have it, (N,1,H,W); each number its own film"
    def one(i, rgb):
        rng = np.random.default_rng(i)
        return simulate_aging(lightness(rgb, film_weights(rng)), rng)
    aged = [one(i, rgb.permute(1,2,0).numpy()) for i,rgb in zip(numbers, true)]
    return torch.stack([torch.from_numpy(o)[None] for o in aged])

def interval(values):
    "95 % interval of their mean; (None, None) of fewer than five"
    low,high = bootstrap(values)
    return (None, None) if np.isnan(low) else (low, high)

class Painter:
    """Colors photographs with settings; those of one working size stay encoded

    Each has its number as its seed, and its chroma is joined with the clean lightness."""
    def __init__(self,
        colorizer,
        files,       # Of the photographs
        size='own',  # Shorter side for the network, or 'own': what each photograph gets by default
        aged=False,  # Show the network the gray of old film?
    ):
        self.c,self.files,self.aged = colorizer,list(files),aged
        self.L,self.size,self.encoded = rgb_to_L(crops(self.files)),size,{}
    def _sizes(self, size):
        "Working size -> numbers of the photographs"
        if size!='own': return {int(size): [*range(len(self.files))]}
        out = {}
        for i,f in enumerate(self.files):
            side,_ = working_shape((min(Image.open(f).size),)*2, **self.c.grid())
            out.setdefault(side, []).append(i)
        return out
    def _encode(self, size):
        "[(numbers, condition)], a few photographs each"
        def seen(side, rows):
            rgb = crops([self.files[i] for i in rows], side)
            return aged_lightness(rgb, rows) if self.aged else rgb_to_L(rgb)
        return [(rows, self.c.condition(seen(side, rows)))
                for side,some in self._sizes(size).items() for rows in chunked(some, GROUP)]
    def __call__(self, size=None, **settings):
        "(N,3,256,256) uint8, drawn at another size and with other `SamplingSettings`, if given"
        size = size or self.size
        if size not in self.encoded: self.encoded = {size: self._encode(size)}
        ab = [None]*len(self.files)
        for rows,cond in self.encoded[size]:
            for i,o in zip(rows, self.c.sample(cond, rows, **settings)): ab[i] = o
        return render(self.L, ab)

def judge(files, extractor='lite1', labels=None):
    "An `Evaluator` of what becomes of photographs; `labels`: name -> ImageNet class"
    classifier = extractor if extractor.startswith('lite') else 'lite1'
    classes = None if labels is None else torch.tensor([labels[o] for o in files])
    return Evaluator(crops(files.values()), extractor, classifier, classes)

class Figures:
    "Makes figures of measurements of one set of photographs"
    def __init__(self, set, n): self.set,self.n = set,n
    def of(self, experiment, measured, weights='', suffix='', names=METRICS):
        "Of {measure: `Measurement`}"
        for k,o in measured.items():
            if k in names:
                yield Figure(experiment, self.set, self.n, METRICS[k]+suffix,
                             o.value, o.low, o.high, weights)
    def changes(self, experiment, measured, weights=''):
        "Of differences"
        return self.of(experiment, measured, weights, '_change', COMPARED)

def name_of(folder, size, extractor='lite1', least=1):
    "How a set of photographs is called in the results"
    name = Path(folder).name + (f', {size} px' if size!='own' else '')
    name += f', from {least} px' if least>1 else ''
    return name + (f', {extractor}' if extractor!='lite1' else '')
