"Photographs that anyone has: those of this repository, and of scikit-image"
import random
from pathlib import Path
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CARD = ROOT/'nbs/images/campus-1910.jpg'

def enlarged(path, megapixels, gray=False, bits=8, seed=0):
    """The postcard of the home page at so many megapixels

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

def color_photographs():
    "Those of scikit-image"
    from skimage import data
    return [Image.fromarray(o) for o in (data.astronaut(), data.chelsea(), data.coffee(),
                                         data.rocket())]

def color_crops(folder, n, side=400, seed=0, kind='jpg'):
    "The folder, with `n` random crops of those, their shorter side `side` px"
    folder,whole = Path(folder),color_photographs()
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(n):
        im = whole[i%len(whole)]
        w,h = [int(rng.uniform(0.6, 1)*min(im.size)) for _ in range(2)]
        left,top = int(rng.integers(im.width-w+1)),int(rng.integers(im.height-h+1))
        size = side*w//min(w, h),side*h//min(w, h)
        im = im.crop((left, top, left+w, top+h)).resize(size, Image.BICUBIC)
        im.save(folder/f'{i:04d}.{kind}', quality=90)
    return folder

def snapshots(folder, n, size=(200, 150), seed=0):
    "Small gray photographs, all different, cut from scikit-image's and this repository's"
    from skimage import data
    rng = random.Random(seed)
    arrays = (data.camera(), data.coffee(), data.cat(), data.astronaut(), data.rocket())
    files = sorted((ROOT/'nbs/images').glob('*.jpg'))[:4]
    whole = [Image.fromarray(o).convert('L') for o in arrays]
    whole += [Image.open(o).convert('L') for o in files]
    for i in range(n):
        im,(w,h) = whole[i%len(whole)],size if i%4 else size[::-1]
        s = rng.uniform(1, min(im.width/w, im.height/h))
        x,y = rng.uniform(0, im.width-s*w),rng.uniform(0, im.height-s*h)
        path = Path(folder)/f'box {i//50}/{i:05}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        small = im.resize((w, h), Image.LANCZOS, box=(x, y, x+s*w, y+s*h))
        small.save(path, quality=90)
    return Path(folder)
