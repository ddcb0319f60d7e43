"""How steady the colors of a film are, beside gray, beside the truth, and beside frame by frame.

    python benchmarks/film.py bikes.mp4 carphone.mp4 --frames 60 --out runs/film
    python benchmarks/film.py clips/* --frames 13 --kid       # of each clip's middle frame
    python benchmarks/film.py chaplin.mp4 --drift 30          # a shot of 30 s, begin against end

Of 13 frames the middle one lies between two keyframes.
Color clips are the truth; the colorings see their luma only. Needs the extra `film`, and `evaluate`
for `--kid`."""
import argparse, itertools, json, tempfile, time
from pathlib import Path
import av, cv2, numpy as np, torch
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
from colorized.photo.lab import colorfulness, rgb_to_lab

# Frame by frame is as photographs are colored, all with one seed; 'other noise': each with its own
WAYS = ('other noise', 'frame by frame', 'agreement', 'flow', 'agreement and flow',
        'agreement, flow and carried keyframes', 'the default')

NEITHER = dict(carried=0, steady=0)

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

def flicker(Y, C, cuts=()):
    "Mean change of Cb and Cr where luma moves by less than 2 of 255; `cuts`: frames left out"
    out = []
    for i,((y0,c0),(y1,c1)) in enumerate(itertools.pairwise(zip(Y, C)), 1):
        if i in cuts:
            continue
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

def measures(Y, C, rgb, maps, cuts):
    x = torch.from_numpy(np.stack(rgb)).permute(0, 3, 1, 2)
    chroma = [np.moveaxis(o, 0, -1) for o in C]
    return dict(cdc=cdc(rgb), cdc_chroma=cdc(chroma), flicker=flicker(Y, C),
                flicker_in_shots=flicker(Y, C, cuts),
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

def as_strong(C, factor):
    "Chroma of the truth times a factor: what it would flicker if it were as colorful as a coloring"
    return [((o-128.)*factor+128).round().clip(0, 255).astype(np.uint8) for o in C]

def run_of(film, plan, colorizer, way):
    gap = 12 if 'flow' in way or 'default' in way else 1
    agree = 'agreement' in way or 'default' in way
    run = FilmRun(film, plan, colorizer, FilmOptions(gap=gap, agree=agree, recolor=True), None, {})
    if not agree:
        kind = Varied if way=='other noise' else Alone
        run.shot = lambda k: kind(colorizer, [], 0, run.settings, share=False)
    return run

def spread_over(film, plan, run, way, tally):
    "Yields colored frames; adds to `tally` what they took"
    less = {} if 'default' in way else dict(steady=0) if 'carried' in way else NEITHER
    how = Propagation(run.o.gap, **less)
    for stretch in stretches(plan):
        spread = Spreader(run.shot(stretch.shot), how)
        for frame,ab in spread(passing(stretch, plan, run.read, run.lightness)):
            yield film.joined(frame, ab, run.table)
        for k,v in vars(spread.tally).items():
            tally[k] = tally.get(k, 0)+v

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
        rgb.append(o.to_ndarray(format='rgb24', threads=1))
    return Y,C,rgb

def measure(path, colorizer, n, ways, middle):
    "Yields (clip, measures by way); puts the middle frame of each into `middle`"
    film = open_film(path)
    plan = cut(find_shots(film), n)
    cuts = {o.first for o in plan.shots}
    truth = [film.new_frame(luma(film, o), own_chroma(film, o), o)
             for o in itertools.islice(film.frames(), len(plan))]
    Y,C,rgb = pictures(film, truth)
    maps = list(motion(Y))
    rows = {'truth': dict(measures(Y, C, rgb, maps, cuts), frames=len(plan), cuts=len(cuts)-1)}
    gray = [film.new_frame(y, None, o) for y,o in zip(Y, truth)]
    _,C1,rgb1 = pictures(film, gray)
    rows['gray'] = measures(Y, C1, rgb1, maps, cuts)
    for name,x in (('truth', rgb), ('gray', rgb1)):
        middle.setdefault(name, []).append(x[len(x)//2])
    for way in ways:
        start,tally = time.process_time(),{}
        frames = list(spread_over(film, plan, run_of(film, plan, colorizer, way), way, tally))
        seconds = time.process_time()-start
        _,C1,rgb1 = pictures(film, frames)
        assert all((luma(film, o)==y).all() for o,y in zip(frames, Y)), 'luma has changed'
        middle.setdefault(way, []).append(rgb1[len(rgb1)//2])
        row = dict(measures(Y, C1, rgb1, maps, cuts), cpu_seconds=seconds/len(frames), **tally)
        if rows['truth']['colorfulness']: # no old film, which has no truth
            strong = as_strong(C, row['colorfulness']/rows['truth']['colorfulness'])
            row['flicker_of_truth_as_strong'] = flicker(Y, strong, cuts)
        rows[way] = row
        yield path.stem,rows

def kid_rows(middle):
    "KID of the ways against the truth, one frame per clip, times 1000, with 95 % intervals"
    from colorized.evaluation.distances import kid, kid_interval
    from colorized.evaluation.features import extract_features, get_extractor
    net = get_extractor('lite1')
    def features(pictures): # of many sizes
        x = [torch.from_numpy(o).permute(2, 0, 1)[None] for o in pictures]
        return torch.cat([extract_features(o, net) for o in x])
    seen = {k: features(v) for k,v in middle.items()}
    truth,first = seen.pop('truth'),seen.get('frame by frame')
    for name,x in seen.items():
        low,high = kid_interval(truth, x)
        row = dict(kid=kid(truth, x, paired=True), low=low, high=high, n=len(x))
        if first is not None and x is not first:
            row['less_frame_by_frame'] = kid_interval(truth, x, first)
        yield name,row

def there_and_back(path, seconds, dst):
    "The longest shot of a film played forward and backward, until it is at its first picture again"
    film = open_film(path)
    shot = max(find_shots(film).shots, key=len)
    Y = [luma(film, o).copy() for o in itertools.islice(film.frames(), shot.first, shot.end)]
    once = [*range(len(Y)), *range(len(Y)-2, 0, -1)]
    times = max(1, round(seconds*float(film.rate)/len(once)))
    with av.open(str(dst), 'w') as c:
        s = c.add_stream('ffv1', rate=film.rate)
        s.width,s.height,s.pix_fmt = film.width,film.height,'gray'
        s.codec_context.color_range = film.range
        for pts,i in enumerate([*once*times, 0]):
            frame = av.VideoFrame(film.width, film.height, 'gray')
            plane = np.frombuffer(frame.planes[0], np.uint8).reshape(film.height, -1)
            plane[:,:film.width] = Y[i]
            frame.pts = pts
            c.mux(s.encode(frame))
        c.mux(s.encode(None))
    return dst

def drift(path, colorizer, seconds, way, cell=32):
    "ΔE of the mean chroma of each region between the first picture of a shot and its last return"
    with tempfile.TemporaryDirectory() as tmp:
        film = open_film(there_and_back(path, seconds, Path(tmp)/'long.mkv'))
        plan = find_shots(film)
        frames = spread_over(film, plan, run_of(film, plan, colorizer, way), way, {})
        first = last = next(frames)
        for last in frames:
            pass
        assert (luma(film, first)==luma(film, last)).all()
        a,b = [chroma_of(o.to_ndarray(format='rgb24', threads=1)) for o in (first, last)]
        h,w = [k//cell for k in a.shape[:2]]
        means = (b-a)[:h*cell,:w*cell].reshape(h, cell, w, cell, 2).mean((1, 3))
        change = np.linalg.norm(means, axis=-1)
        return dict(shots=len(plan.shots), frames=len(plan), seconds=len(plan)/float(film.rate),
                    regions=change.size, mean=float(change.mean()), most=float(change.max()))

def chroma_of(rgb):
    "(H,W,2) a* and b*"
    x = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()/255
    return np.ascontiguousarray(rgb_to_lab(x)[0,1:].permute(1, 2, 0).float().numpy())

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('clips', nargs='+', type=Path)
    parser.add_argument('--frames', type=int, default=60)
    parser.add_argument('--ways', nargs='+', default=WAYS)
    parser.add_argument('--kid', action='store_true')
    parser.add_argument('--drift', type=float, metavar='SECONDS')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--out', type=Path, default=Path('runs/film'))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    colorizer,middle = Colorizer.from_pretrained(device='cpu'),{}
    args.out.mkdir(parents=True, exist_ok=True)
    def tell(name, way, row):
        short = {k: round(v, 5) if isinstance(v, float) else v for k,v in row.items()}
        print(name, way, short, flush=True)
    for path in args.clips:
        if args.drift:
            for way in args.ways:
                row = drift(path, colorizer, args.drift, way)
                (args.out/f'{path.stem} {way} drift.json').write_text(json.dumps(row, indent=1))
                tell(path.stem, way, row)
            continue
        for name,rows in measure(path, colorizer, args.frames, args.ways, middle):
            (args.out/f'{name}.json').write_text(json.dumps(rows, indent=1))
            tell(name, list(rows)[-1], rows[list(rows)[-1]])
        for k in ('truth', 'gray'):
            tell(name, k, rows[k])
    if args.kid and middle:
        rows = dict(kid_rows(middle))
        (args.out/'kid.json').write_text(json.dumps(rows, indent=1))
        for way,row in rows.items():
            tell('KID', way, row)

if __name__=='__main__':
    main()
