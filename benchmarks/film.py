"""How steady the colors of a film are, beside gray, beside the truth, and beside frame by frame.

    python benchmarks/film.py bikes.mp4 carphone.mp4 --frames 60 --out runs/film

Color clips are the truth; the colorings see their luma only. Needs the extra `film`."""
import argparse, itertools, json, time
from pathlib import Path
import cv2, numpy as np, torch
from colorized.film.agreement import ShotColorizer
from colorized.film.coloring import FilmRun
from colorized.film.container import open_film
from colorized.film.flow import FlowField, identity, is_consistent
from colorized.film.options import FilmOptions
from colorized.film.propagation import Propagation, Spreader
from colorized.film.shots import find_shots
from colorized.film.stretches import passing, stretches
from colorized.film.ycbcr import luma, own_chroma
from colorized.inference.colorizer import Colorizer
from colorized.photo.lab import colorfulness

# Frame by frame is as photographs are colored, all with one seed; 'other noise': each with its own
WAYS = ('other noise', 'frame by frame', 'agreement', 'flow', 'agreement and flow')

def histograms(rgb):
    "(channels,256) of one frame"
    h = np.stack([np.bincount(o.ravel(), minlength=256) for o in np.moveaxis(rgb, -1, 0)])
    return h/h.sum(1, keepdims=True)

def jensen_shannon(p, q):
    m = (p+q)/2
    with np.errstate(divide='ignore', invalid='ignore'):
        kl = lambda a: np.where(a>0, a*np.log(a/m), 0).sum(-1)
        return (kl(p)+kl(q))/2

def cdc(frames):
    "Color distribution consistency: gaps 1, 2 and 4 (Liu et al. 2021, NTIRE 2023)"
    h = [histograms(o) for o in frames]
    return float(np.mean([np.mean([jensen_shannon(a, b).mean() for a,b in zip(h, h[t:])])
                          for t in (1, 2, 4)]))

def flicker(Y, C):
    "Mean change of Cb and Cr where luma moves by less than 2 of 255"
    out = []
    for (y0,c0),(y1,c1) in itertools.pairwise(zip(Y, C)):
        still = abs(y1.astype(int)-y0)<2
        still = cv2.resize(still.astype(np.uint8), c0.shape[:0:-1], interpolation=cv2.INTER_AREA)>0
        if still.any():
            out.append(abs(c1.astype(int)-c0)[:,still].mean())
    return float(np.mean(out))

def warp_error(rgb, maps):
    "Mean squared difference to the frame before, moved along the flow of luma (Lai et al. 2018)"
    out = []
    for (a,b),(at,valid) in zip(itertools.pairwise(rgb), maps):
        moved = cv2.remap(a, at[...,0], at[...,1], cv2.INTER_LINEAR)
        d = ((moved.astype(np.float32)-b)/255)**2
        out.append(d[valid].mean())
    return float(np.mean(out))

def motion(Y):
    "(where each point was in the frame before, is that known?) for each frame but the first"
    flow = FlowField()
    for a,b in itertools.pairwise(Y):
        back,there = flow(b, a),flow(a, b)
        yield identity(a.shape)+back,is_consistent(back, there)

def measures(Y, C, rgb, maps):
    x = torch.from_numpy(np.stack(rgb)).permute(0, 3, 1, 2)
    chroma = [np.moveaxis(o, 0, -1) for o in C]
    return dict(cdc=cdc(rgb), cdc_chroma=cdc(chroma), flicker=flicker(Y, C),
                warp_error=warp_error(rgb, maps), colorfulness=float(colorfulness(x).mean()))

class Alone(ShotColorizer):
    "As photographs are: averaged over themselves"
    def colorize(self, L):
        s = self.sampler
        return s.sample(s.condition(L), [self.seed])*self.saturation

class Varied(Alone):
    "As photographs are, each with noise of its own"
    def colorize(self, L):
        self.seed += 1
        return super().colorize(L)

def run_of(film, plan, colorizer, way):
    gap = 12 if 'flow' in way else 1
    agree = 'agreement' in way
    run = FilmRun(film, plan, colorizer, FilmOptions(gap=gap, agree=agree, recolor=True), None, {})
    if not agree:
        kind = Varied if way=='other noise' else Alone
        run.shot = lambda k: kind(colorizer, [], 0, run.settings, share=False)
    return run

def colored(film, plan, run):
    "(frames, what it took)"
    frames,tally = [],{}
    for stretch in stretches(plan):
        spread = Spreader(run.shot(stretch.shot), Propagation(run.o.gap))
        for frame,ab in spread(passing(stretch, plan, run.read, run.lightness)):
            frames.append(film.joined(frame, ab, run.table))
        for k,v in vars(spread.tally).items():
            tally[k] = tally.get(k, 0)+v
    return frames,tally

def cut(plan, n):
    "The plan of the first `n` frames"
    for o in plan.shots:
        o.end = min(o.end, n)
    plan.shots = [o for o in plan.shots if o.first<o.end]
    for k in ('pts', 'durations', 'repeated'):
        setattr(plan, k, getattr(plan, k)[:n])
    return plan

def pictures(film, frames):
    "(Y, (2,h,w) chroma, RGB) of each; all 8 bits"
    Y,C,rgb = [],[],[]
    for o in frames:
        Y.append(luma(film, o).copy())
        C.append(own_chroma(film, o))
        rgb.append(o.to_ndarray(format='rgb24'))
    return Y,C,rgb

def measure(path, colorizer, n, ways):
    film = open_film(path)
    plan = cut(find_shots(film), n)
    truth = [film.new_frame(luma(film, o), own_chroma(film, o), o)
             for o in itertools.islice(film.frames(), len(plan))]
    Y,C,rgb = pictures(film, truth)
    maps = list(motion(Y))
    rows = {'truth': measures(Y, C, rgb, maps)}
    gray = [film.new_frame(y, None, o) for y,o in zip(Y, truth)]
    rows['gray'] = measures(*pictures(film, gray), maps)
    for way in ways:
        start = time.process_time()
        frames,tally = colored(film, plan, run_of(film, plan, colorizer, way))
        seconds = time.process_time()-start
        _,C1,rgb1 = pictures(film, frames)
        assert all((luma(film, o)==y).all() for o,y in zip(frames, Y)), 'luma has changed'
        rows[way] = dict(measures(Y, C1, rgb1, maps), cpu_seconds=seconds/len(frames), **tally)
        yield path.stem,rows

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('clips', nargs='+', type=Path)
    parser.add_argument('--frames', type=int, default=60)
    parser.add_argument('--ways', nargs='+', default=WAYS)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--out', type=Path, default=Path('runs/film'))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    colorizer = Colorizer.from_pretrained(device='cpu')
    args.out.mkdir(parents=True, exist_ok=True)
    for path in args.clips:
        for name,rows in measure(path, colorizer, args.frames, args.ways):
            (args.out/f'{name}.json').write_text(json.dumps(rows, indent=1))
            way = list(rows)[-1]
            print(name, way, {k: round(v, 5) for k,v in rows[way].items()}, flush=True)
        for k in ('truth', 'gray'):
            print(name, k, {m: round(v, 5) for m,v in rows[k].items()}, flush=True)

if __name__=='__main__':
    main()
