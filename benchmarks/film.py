"""How steady the colors of a film are, beside gray, the truth and frame by frame

    python benchmarks/run.py film bikes.mp4 carphone.mp4 --frames 60 --csv FILE
    python benchmarks/run.py film clips/* --frames 13 --kid     # of each clip's middle frame
    python benchmarks/run.py film chaplin.mp4 --drift 30        # a shot of 30 s, begin against end

Of 13 frames the middle one lies between two keyframes. Color clips are the truth; the colorings see
their luma only. `cdc` is the color distribution consistency (Liu et al. 2021), `flicker` the mean
change of Cb and Cr where luma stands still, `warp_error` the mean squared difference to the frame
before, moved along the flow (Lai et al. 2018), `drift` the difference of mean chroma of regions
between a shot's first frame and its return, played forward and backward."""
import itertools, tempfile, time
from pathlib import Path
import av, numpy as np, torch
from colorized.film.agreement import ShotColorizer
from colorized.film.coloring import FilmRun
from colorized.film.container import open_film
from colorized.film.options import FilmOptions
from colorized.film.propagation import Propagation, Spreader
from colorized.film.shots import find_shots
from colorized.film.stretches import passing, stretches
from colorized.film.ycbcr import luma, own_chroma
from colorized.inference.colorizer import Colorizer
from colorized.photo.lab import rgb_to_lab
from benchmarks.support.film_measures import flicker, measures, motion
from benchmarks.support.results import Figure, Missing
from benchmarks.support.samples import color_photographs

# Frame by frame is as photographs are colored, all with one seed; 'other noise': each with its own
WAYS = ('other noise', 'frame by frame', 'agreement', 'flow', 'agreement and flow',
        'agreement, flow and carried keyframes', 'the default')

NEITHER = dict(carried=0, steady=0)

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

def steadiness(path, colorizer, n, ways, middle):
    "Yields (way, frames, measures); puts the middle frame of each into `middle`"
    film = open_film(path)
    plan = cut(find_shots(film), n)
    cuts = {o.first for o in plan.shots}
    truth = [film.new_frame(luma(film, o), own_chroma(film, o), o)
             for o in itertools.islice(film.frames(), len(plan))]
    Y,C,rgb = pictures(film, truth)
    maps = list(motion(Y))
    true = measures(Y, C, rgb, maps, cuts)
    yield 'truth',len(plan),dict(true, cuts=len(cuts)-1)
    gray = [film.new_frame(y, None, o) for y,o in zip(Y, truth)]
    _,C1,rgb1 = pictures(film, gray)
    yield 'gray',len(plan),measures(Y, C1, rgb1, maps, cuts)
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
        if true['colorfulness']: # no old film, which has no truth
            strong = as_strong(C, row['colorfulness']/true['colorfulness'])
            row['flicker_of_truth_as_strong'] = flicker(Y, strong, cuts)
        yield way,len(plan),row

def kids(middle):
    "Yields (way, n, metric, value, low, high): KID against the truth, one frame of each clip"
    from colorized.evaluation.distances import kid, kid_interval
    from colorized.evaluation.features import extract_features, get_extractor
    net = get_extractor('lite1')
    def features(pictures): # of many sizes
        x = [torch.from_numpy(o).permute(2, 0, 1)[None] for o in pictures]
        return torch.cat([extract_features(o, net) for o in x])
    seen = {k: features(v) for k,v in middle.items()}
    truth,first = seen.pop('truth'),seen.get('frame by frame')
    for name,x in seen.items():
        value,ends = kid(truth, x, paired=True),kid_interval(truth, x)
        yield name,len(x),'kid_x1000',*(1000*o for o in (value, *ends))
        if first is not None and x is not first:
            change = value-kid(truth, first, paired=True),*kid_interval(truth, x, first)
            yield name,len(x),'kid_x1000_change',*(1000*o for o in change)

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
    "(way, frames, ΔE of the mean chroma of regions between a shot's first picture and its return)"
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
        return way,len(plan),dict(drift_mean=float(change.mean()), drift_most=float(change.max()))

def chroma_of(rgb):
    "(H,W,2) a* and b*"
    x = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()/255
    return np.ascontiguousarray(rgb_to_lab(x)[0,1:].permute(1, 2, 0).float().numpy())

def sample_clip(path, frames=9, size=(128, 96)):
    "A color film: a window that moves over a photograph"
    photo = np.asarray(color_photographs()[2])
    with av.open(str(path), 'w') as c:
        s = c.add_stream('ffv1', rate=25)
        s.width,s.height,s.pix_fmt = *size,'yuv420p'
        for i in range(frames):
            part = np.ascontiguousarray(photo[100:100+size[1],100+3*i:100+3*i+size[0]])
            c.mux(s.encode(av.VideoFrame.from_ndarray(part, 'rgb24')))
        c.mux(s.encode(None))
    return path

def add_options(p):
    p.add_argument('clips', nargs='*', type=Path)
    p.add_argument('--frames', type=int, default=60, help='of each clip, from its beginning')
    p.add_argument('--ways', nargs='+', default=WAYS, choices=WAYS)
    p.add_argument('--kid', action='store_true')
    p.add_argument('--drift', type=float, metavar='SECONDS')
    p.add_argument('--threads', type=int, default=1)

def measure(args):
    torch.set_num_threads(args.threads)
    if args.quick:
        args.clips,args.ways = [sample_clip(args.tmp/'sample.mkv')],WAYS[1::5]
    if not args.clips: raise Missing("needs films in color (or --quick)")
    if args.kid and len(args.clips)<2: raise Missing("--kid needs two clips or more")
    c,middle = Colorizer.from_pretrained(device='cpu'),{}
    sha = c.sha256[:8]
    for path in args.clips:
        if args.drift:
            rows = (drift(path, c, args.drift, way) for way in args.ways)
        else:
            rows = steadiness(path, c, args.frames, args.ways, middle)
        for way,n,row in rows:
            for k,v in row.items(): yield Figure(f'film: {way}', path.stem, n, k, v, weights=sha)
    if args.kid and middle:
        for way,n,metric,value,*ends in kids(middle):
            if n<5: ends = None,None # no interval
            yield Figure(f'film: {way}', 'middle frames', n, metric, value, *ends, sha)
