"""What a network knows before anything is drawn: the first guess against the true colors

The first guess is x0 as the network estimates it when it has seen nothing of the colors, about the
mean of all colorings; the sampler begins with it (and so, as it does, without noise). Estimate and
truth are averaged over cells, so that networks of different grids can be compared."""
import numpy as np
import torch, torch.nn.functional as F
from fastcore.basics import chunked
from colorized.evaluation.folders import load_crop
from colorized.photo.lab import rgb_to_L, rgb_to_lab

GROUP = 16
COLORFUL, NEAR = 8, np.cos(np.pi/6) # chroma, cosine of the angle between hues

def guess(net, config, rgb):
    "(N,2,h,w) chroma that the network expects, CIELAB units"
    nothing = torch.zeros(len(rgb), 2, *(o//config.net.factor for o in rgb.shape[2:]))
    schedule,s = config.make_schedule(),config.sampling
    last = schedule.respace(s.steps, s.last_step).timesteps[-1]
    with torch.no_grad():
        ab = config.denoiser(net)(nothing, last.repeat(len(rgb)), net.condition(rgb_to_L(rgb)))
    return ab.float()*config.chroma_scale

def look(net, config, files, side=256, cell=4):
    """(n,6) of each photograph: mean squared distance, how many hues are near (or NaN), the mean
    product of guess and truth, of guess and guess, of truth and truth, and the guess's chroma"""
    rows = []
    for group in chunked(files, GROUP):
        rgb = torch.stack([load_crop(f, side)[0] for f in group])/255
        true = rgb_to_lab(F.avg_pool2d(rgb, cell))[:,1:]
        ab = F.adaptive_avg_pool2d(guess(net, config, rgb), side//cell)
        colorful = true.norm(dim=1)>COLORFUL
        near = (F.cosine_similarity(ab, true, dim=1)>NEAR) & colorful
        over = lambda o: o.sum(1).mean((1,2))
        rows.append(torch.stack([
            over((ab-true)**2), near.sum((1,2))/colorful.sum((1,2)), over(ab*true), over(ab**2),
            over(true**2), ab.norm(dim=1).mean((1,2))], 1))
    return torch.cat(rows).double().numpy()

def summarize(rows):
    "Distance, agreement, what is left unexplained"
    product,guessed,true = rows[:,2:5].sum(0)
    return np.array([np.sqrt(rows[:,0].mean()), np.nanmean(rows[:,1]), 1-product**2/guessed/true])

def differences(rows, first, summarize=summarize):
    "(measures,3): differences to the first model, with their intervals"
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(rows), (2000, len(rows)))
    drawn = np.array([summarize(rows[p])-summarize(first[p]) for p in picks])
    ends = np.quantile(drawn, [0.025,0.975], axis=0)
    return np.stack([summarize(rows)-summarize(first), *ends], 1)
