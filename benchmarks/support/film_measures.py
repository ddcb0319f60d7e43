"How steady the colors of frames are"
import itertools
import cv2, numpy as np, torch
from colorized.film.flow import FlowField, identity, is_consistent
from colorized.photo.lab import colorfulness

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
