"""Photographs that no training source has seen: those of the children's program GCompris, of
objects, animals, buildings and musicians.

`python benchmarks/outside.py gcompris-qt-data_*.deb OUT` (`apt-get download gcompris-qt-data`)
writes them to the folder OUT, for `colorized evaluate --true OUT --model default`. Their licenses
(public domain and Creative Commons, mostly) are listed in the package."""
import argparse, hashlib, io, struct, subprocess, tempfile
from pathlib import Path
import numpy as np
from PIL import Image

ACTIVITIES = ['categorization', 'erase', 'explore_farm_animals', 'explore_monuments',
              'explore_world_animals', 'explore_world_music']

def webps(data):
    "The WebP files that lie uncompressed in one of Qt's resource files"
    i = -1
    while (i := data.find(b'RIFF', i+1))>=0:
        if data[i+8:i+12]==b'WEBP':
            yield data[i:i+8+struct.unpack('<I', data[i+4:i+8])[0]]

def is_photograph(rgb):
    "At least 200 px, not nearly gray, and of more colors than a drawing"
    small = np.asarray(rgb.resize((128,128))).astype(int)
    off_gray = np.abs(small-small.mean(2, keepdims=True)).mean()
    n_colors = len(np.unique(small.reshape(-1, 3)//8, axis=0))
    return min(rgb.size)>=200 and off_gray>=4 and n_colors>=400

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    p.add_argument('package', type=Path)
    p.add_argument('out', type=Path)
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    n = 0
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['dpkg-deb', '-x', args.package, d], check=True)
        files = [f for f in sorted(Path(d).rglob('*.rcc')) if f.stem in ACTIVITIES]
        for f,data in ((f, o) for f in files for o in webps(f.read_bytes())):
            im = Image.open(io.BytesIO(data))
            if im.mode!='RGB' or not is_photograph(im): continue
            if max(im.size)>1024: im.thumbnail((1024,1024))
            im.save(args.out/f'{f.stem}-{hashlib.sha256(data).hexdigest()[:8]}.png')
            n += 1
    print(f'{n} photographs in {args.out}')

if __name__=='__main__': main()
