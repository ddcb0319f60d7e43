"""The photographs that the default model learns from: where they come from, and how to gather them.

    python -m benchmarks.weights.photographs CLONES OUT --apart FOLDER …

CLONES is a folder of bare git clones, named owner+name. Pictures are read at the commit that
`sources.py` names. The clones of `APART` hold photographs that are judged with and never learned
from. So do the folders of `--apart`. FOLDER of `--local` is a folder of photographs to begin with,
such as one that an earlier selection left.

OUT gets `pictures.bin`, JPEGs one after the other with a shorter side of at most 288 pixels, and
`pictures.tsv`, a line for each of them. `Pack` reads both. `sources.tsv` says what became of each
source. Sources that it lists already are passed over, so that the set can grow.

Left out are pictures that are small, gray or of one tint, drawings, and near duplicates (128-bit
difference hash, also mirrored) of what was taken before and of what is kept apart.
`apart.json` names what that is: with other folders or clones the script does not go on.

JPEG was chosen by measuring what making one 128 px crop costs on one thread of a busy machine, 150
photographs of 256 px: WebP 7 ms and 9 kB, JPEG (quality 92, 4:4:4) 3.3 ms and 26 kB, uncompressed
2.2 ms and 197 kB.

The terms are from general knowledge and were not looked up. The pictures may be trained on, but
neither shown nor passed on.
"""
import argparse, io, json, re
from collections import Counter
from multiprocessing import Pool
from pathlib import Path
import numpy as np
from PIL import Image, ImageOps
from benchmarks.support.clones import PICTURE, blobs, git_dir, holds, listed
from benchmarks.support.photo_sets import SETS, difference_hash, hashes_of
from .sources import SOURCES, Source

SIDE, QUALITY = 288, 92 # of what is stored
LEAST = 80              # shorter side below which a picture is left out
TWIN, KIN = 8, 12       # bits in which the hashes of near duplicates differ at most: taken, apart

# Judged with, never learned from: the sets of `quality` and crowds of WIDER FACE
APART = [(*o[1:4], o[4]) for o in SETS] + [
    ('vishalw-iitk/Widerface_Yolov5', 'cbae228a', r'representative_dataset/.*\.jpg$', 1)]

class Pack:
    "The pictures that this script has gathered in a folder: a sequence of RGB `PIL.Image`s"
    root = None # no folder of photographs in the sense of `PhotoFolder`
    def __init__(self,
        folder:str|Path, # OUT
        least:int=0,     # Pixels of the shorter side
    ):
        self.folder = Path(folder)
        done = {o[0] for o in rows_of(self.folder/'sources.tsv')}
        rows = [o for o in rows_of(self.folder/'pictures.tsv')
                if len(o)==7 and o[5] in done and min(int(o[2]), int(o[3]))>=least]
        self.places = np.array([(int(o[0]), int(o[1])) for o in rows], np.int64).reshape(-1, 2)
        self.sources = [o[5] for o in rows] # of each picture
        self.bytes = np.memmap(self.folder/'pictures.bin', np.uint8, 'r')
    def __len__(self): return len(self.places)
    def __getitem__(self, i):
        start,size = self.places[i]
        return Image.open(io.BytesIO(self.bytes[start:start+size].tobytes())).convert('RGB')

def rows_of(path):
    "The lines of a table, split at its tabs"
    return [o.split('\t') for o in path.read_text().splitlines()] if path.exists() else []

def opened(data):
    "The picture upright, RGB, shorter side at most `SIDE`"
    im = Image.open(io.BytesIO(data))
    scale = SIDE/min(im.size)
    im.draft('RGB', tuple(int(o*scale) for o in im.size))
    im = ImageOps.exif_transpose(im).convert('RGB')
    if min(im.size)>SIDE:
        scale = SIDE/min(im.size)
        im = im.resize([round(o*scale) for o in im.size], Image.LANCZOS, reducing_gap=3)
    return im

def fault(im):
    "Why a picture is left out, or None"
    import torch
    from colorized.photo.lab import colorfulness
    from colorized.photo.scan import Scan
    if min(im.size)<LEAST or max(im.size)>4*min(im.size): return 'small'
    im = im.resize((96,96), Image.BOX)
    rgb = np.array(im)
    if colorfulness(torch.from_numpy(rgb).permute(2,0,1)[None]).item()<12: return 'gray'
    tone = Scan(rgb).tone
    if tone.spread<3.5 and tone.hue<120: return 'gray'
    levels = rgb.astype(np.int32)>>3
    if len(np.unique((levels[...,0]<<10)+(levels[...,1]<<5)+levels[...,2]))<180: return 'drawing'
    return None

def hashes(im):
    "(2,2) uint64: of the picture, and of its mirror image"
    im = im.convert('L').resize((72,72), Image.BOX) # 9×8 and 8×9 areas fit in
    return np.stack([difference_hash(o) for o in (im, ImageOps.mirror(im))])

def prepared(item):
    "(path, why it is left out or None, JPEG, size, hashes)"
    path,data = item
    try:
        im = opened(data)
        if why := fault(im): return path,why,None,None,None
        buf = io.BytesIO()
        im.save(buf, 'jpeg', quality=QUALITY, subsampling=0)
        return path,None,buf.getvalue(),im.size,hashes(im)
    except Exception: # whatever a broken file makes of its decoder
        return path,'broken',None,None,None

def hashed(item):
    "Hashes of a picture that is kept apart, or None"
    try: return hashes(opened(item[1]))
    except Exception: return None

class Known:
    "Hashes in an array that grows"
    def __init__(self, first=()):
        self.n,self.table = 0,np.zeros((1<<12, 2), np.uint64)
        for o in first: self.add(o)
    def add(self, h):
        if self.n==len(self.table): self.table = np.concatenate([self.table, self.table])
        self.table[self.n] = h
        self.n += 1
    def near(self, both, bits):
        "Is one of the two hashes, or that of the mirror image, near?"
        known = self.table[:self.n]
        far = lambda h: np.bitwise_count(known^h).sum(1).min()
        return self.n>0 and min(far(h) for h in both)<=bits

def one_thread():
    "In a helper process"
    import torch
    torch.set_num_threads(1)

def apart(clones, folders, pool, out):
    "Hashes of all that is kept apart; computed once, then read from `apart.npy`"
    now = json.dumps([[str(Path(o).resolve()) for o in folders], APART], indent=1)
    hashes,list_of_them = out/'apart.npy',out/'apart.json'
    if hashes.exists() and list_of_them.exists() and list_of_them.read_text()==now:
        return Known(np.load(hashes))
    if hashes.exists() and rows_of(out/'sources.tsv'):
        raise SystemExit(f'{out} was gathered when other photographs were kept apart: begin '
                         f'another folder, or delete {hashes} to keep these apart from now on')
    hashes.unlink(missing_ok=True)
    rows = [*hashes_of(folders)]
    for repository,commit,paths,every in APART:
        if (git := git_dir(clones, repository)) is None: raise SystemExit(f'missing: {repository}')
        n = len(rows)
        for both in pool.imap(hashed, blobs(git, listed(git, commit, paths, PICTURE)[::every]), 16):
            if both is not None: rows.append(both[0])
        print(f'{repository}: {len(rows)-n} kept apart', flush=True)
    list_of_them.write_text(now)
    np.save(hashes, np.stack(rows))
    return Known(rows)

def take(name, items, known, held, pool, out):
    "Append what is good of a source; counts"
    counts,bin,tsv = Counter(),(out/'pictures.bin').open('ab'),(out/'pictures.tsv').open('a')
    with bin,tsv:
        for path,why,jpeg,size,both in pool.imap(prepared, items, 16):
            if why is None and held.near(both, KIN): why = 'apart'
            if why is None and known.near(both, TWIN): why = 'twin'
            counts[why or 'taken'] += 1
            if why: continue
            known.add(both[0])
            digest = both[0].tobytes().hex()
            row = (bin.tell(), len(jpeg), *size, digest, name, path.replace('\t', ' '))
            bin.write(jpeg)
            tsv.write('\t'.join(map(str, row))+'\n')
    return counts

def repaired(out):
    "Drop what a stop in the middle of a source left behind it"
    done = {o[0] for o in rows_of(out/'sources.tsv')}
    rows = [o for o in rows_of(out/'pictures.tsv') if len(o)==7 and o[5] in done]
    (out/'pictures.tsv').write_text(''.join('\t'.join(o)+'\n' for o in rows))
    end = max((int(o[0])+int(o[1]) for o in rows), default=0)
    with (out/'pictures.bin').open('ab') as f: f.truncate(end)
    return done,Known(np.frombuffer(bytes.fromhex(o[4]), np.uint64) for o in rows)

KINDS = ('taken', 'small', 'gray', 'drawing', 'twin', 'apart', 'broken')

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('clones', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--local', type=Path, help='folder of photographs to begin with')
    p.add_argument('--apart', type=Path, nargs='*', default=[], help='folders never learned from')
    p.add_argument('--jobs', type=int, default=1)
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    done,known = repaired(args.out)
    with Pool(args.jobs, one_thread) as pool:
        held = apart(args.clones, args.apart, pool, args.out)
        todo = [('local', '-', local(args.local))] if args.local else []
        todo += [(o.repository, o.commit, o) for o in SOURCES]
        for name,commit,source in todo:
            if name in done: continue
            if isinstance(source, Source):
                if (git := git_dir(args.clones, name)) is None or not holds(git, commit):
                    print(f'{name}: no clone with {commit}', flush=True)
                    continue
                source = blobs(git, listed(git, commit, source.paths, PICTURE)[::source.every])
            counts = take(name, source, known, held, pool, args.out)
            row = [name, commit, sum(counts.values()), *(counts[k] for k in KINDS)]
            with (args.out/'sources.tsv').open('a') as f: f.write('\t'.join(map(str, row))+'\n')
            print(name, dict(counts), f'{known.n} in all', flush=True)

def local(folder):
    "(path, content) of the photographs of a folder"
    for p in sorted(Path(folder).rglob('*')):
        if re.search(PICTURE, p.name): yield p.relative_to(folder).as_posix(),p.read_bytes()

if __name__=='__main__': main()
