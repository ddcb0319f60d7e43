"What the benchmarks share"
import json, os, platform, re, time
from pathlib import Path
import numpy as np, torch
from PIL import Image

CARD = Path(__file__).resolve().parent.parent/'nbs/images/campus-1910.jpg'

def machine():
    "What the figures depend on"
    info = Path('/proc/cpuinfo')
    cpu = re.search(r'model name\s*: (.+)', info.read_text()) if info.exists() else None
    return dict(cpu=cpu[1] if cpu else platform.processor(), cores=os.cpu_count(),
                load=round(os.getloadavg()[0], 2), torch=torch.__version__,
                python=platform.python_version(), date=time.strftime('%Y-%m-%d', time.gmtime()))

def described(about):
    "The same as a line"
    line = ("{cpu}, {cores} cores (load {load} at the start), torch {torch}, Python {python}, "
            "{date}")
    return line.format(**about)

def photograph(path, megapixels, gray=False, bits=8, seed=0):
    """The postcard at so many megapixels

    With grain of 1.5 % so that no encoder gets it for nothing; made in strips."""
    card = Image.open(CARD).convert('L' if gray else 'RGB')
    s = (megapixels*1e6/(card.width*card.height))**0.5
    w,h = round(card.width*s),round(card.height*s)
    rng,levels = np.random.default_rng(seed),2**bits-1
    channels = () if gray else (3,)
    out = np.empty((h, w, *channels), np.uint8 if bits==8 else np.uint16)
    for top in range(0, h, 512):
        n = min(512, h-top)
        box = (0, top/s, card.width, min((top+n)/s, card.height))
        x = np.asarray(card.resize((w, n), Image.BICUBIC, box=box), np.float32)/255
        grain = rng.standard_normal(x.shape[:2], np.float32).reshape(n, w, *[1]*(x.ndim-2))
        out[top:top+n] = np.clip(x + 0.015*grain, 0, 1)*levels+0.5
    if path.suffix=='.jpg':
        Image.fromarray(out).save(path, quality=92)
    else:
        import tifffile
        tifffile.imwrite(path, out, photometric='minisblack' if gray else 'rgb')
    return path

def load_squares(folder, classes, n=None):
    """The first n photographs of a folder as `further.py` writes it

    Central squares (N,3,256,256), uint8, and their ImageNet classes (N,)."""
    from colorized.evaluation.folders import list_photos, load_crop
    files = dict([*list_photos(folder).items()][:n])
    labels = json.loads(Path(classes).read_text())
    rgb = torch.stack([load_crop(o, 256)[0] for o in files.values()])
    return rgb,torch.tensor([labels[o] for o in files])

def render(L, ab):
    """Lightness (N,1,H,W) and chroma of any size -> (N,3,H,W) uint8

    One by one: the same bits in company as alone."""
    from colorized.photo.lab import combine_to_rgb, to_uint8
    from colorized.photo.resampling import up_chroma
    def one(l, o):
        return to_uint8(combine_to_rgb(l[None], up_chroma(o[None], l.shape[1:], l[None])))
    return torch.cat([one(l, o) for l,o in zip(L, ab)])

def aged_lightness(true, numbers):
    "Lightness of the photographs as old film would have it, (N,1,H,W); each number its own film"
    from colorized.training.aging import film_weights, lightness, simulate_aging
    def one(i, rgb):
        rng = np.random.default_rng(i)
        return simulate_aging(lightness(rgb, film_weights(rng)), rng)
    aged = [one(i, rgb.permute(1,2,0).numpy()) for i,rgb in zip(numbers, true)]
    return torch.stack([torch.from_numpy(o)[None] for o in aged])
