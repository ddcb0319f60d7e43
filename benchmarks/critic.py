"""A recogniser as a critic: what is won when one recogniser chooses among finished colourings and another judges, and are the chosen colours truer?

`python benchmarks/critic.py FOLDER CLASSES.json [--n 1000]`: photographs and their ImageNet classes as `further.py` writes them, central squares, the network at 256 px.
The critic takes the colouring in which it is surest of the class that it sees in gray and in the draws together."""
import argparse
import torch, torch.nn.functional as F
from shared import painted, squares

STRENGTHS,PRICE = (1., 0.5, 0.75, 1.3),0.1 # of a draw's chroma; in log-probability, for each unit of strength that is given up
DRAWS = 3

def looks(critic, rgb): return torch.cat([critic.logits(critic(o)).log_softmax(1) for o in rgb.split(20)])

def chosen(P, gray, draws, strengths):
    "Of the log-probabilities `P[draw][strength]`, each (N,1000): which draw and which strength the critic takes, (N,) each"
    sure = (torch.stack([P[k][1.] for k in draws]).exp().mean(0)+gray.exp()).argmax(1, keepdim=True)
    pairs = [(k,s) for k in draws for s in strengths]
    best = torch.stack([P[k][s].gather(1, sure)[:,0]-PRICE*(max(strengths)-s) for k,s in pairs]).argmax(0)
    return [pairs[o] for o in best]

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('folder'); p.add_argument('classes'); p.add_argument('--model'); p.add_argument('--n', type=int, help='only the first so many')
    p.add_argument('--critic', default='lite0'); p.add_argument('--judge', default='lite2')
    args = p.parse_args()
    from colorized.inference.colorizer import Colorizer
    from colorized.photo.resampling import down_chroma
    from colorized.photo.lab import rgb_to_L, rgb_to_lab
    from colorized.evaluation.features import LiteExtractor, extract_features
    from colorized.evaluation.distances import bootstrap, kid
    from colorized.evaluation.measurement import top1_hits
    torch.set_num_threads(1)
    rgb,labels = squares(args.folder, args.classes, args.n)
    c,critic,judge,L = Colorizer.from_pretrained(args.model, 'cpu'),LiteExtractor(args.critic),LiteExtractor(args.judge),rgb_to_L(rgb)
    ab = [torch.cat([c.chroma(c.condition(l[None]), [100_000*k+i]) for i,l in enumerate(L)]) for k in range(DRAWS)]
    real,P,feats,hits = extract_features(rgb, judge),[{} for _ in ab],[{} for _ in ab],[{} for _ in ab]
    def judged(x): f = extract_features(x, judge); return f,top1_hits(judge.logits(f), labels)
    dull = painted(L, 0*ab[0]); gray,(gray_feats,gray_hits) = looks(critic, dull),judged(dull)
    for k,o in enumerate(ab):
        for s in STRENGTHS: x = painted(L, s*o); P[k][s],(feats[k][s],hits[k][s]) = looks(critic, x),judged(x)
    def figures(picks): # one choice or several, whose mean is taken
        out = []
        for o in picks:
            f,h = (torch.stack([x[k][s][i] for i,(k,s) in enumerate(o)]) for x in (feats, hits))
            out.append((1000*kid(real, f, paired=True), h.double()))
        return sum(o for o,_ in out)/len(out),torch.stack([h for _,h in out]).mean(0)
    every,one = [[k] for k in range(DRAWS)],(1.,)
    rows = {'one draw': [[(k,1.)]*len(rgb) for k in range(DRAWS)], 'its strength chosen': [chosen(P, gray, o, STRENGTHS) for o in every],
            f'one of {DRAWS} draws': [chosen(P, gray, range(DRAWS), one)], f'one of {DRAWS} draws and its strength': [chosen(P, gray, range(DRAWS), STRENGTHS)]}
    print(f'{len(rgb)} photographs, model {c.sha256[:12]}, critic {args.critic}, judge {args.judge}\n\n| | KID × 1000 | top-1 | over gray |\n|---|---|---|---|')
    print(f'| gray | {1000*kid(real, gray_feats, paired=True):.3g} | {gray_hits.mean():.3f} | |')
    for what,picks in rows.items():
        value,h = figures(picks); over = h-gray_hits
        print(f'| {what} | {value:.3g} | {h.mean():.3f} | {over.mean():+.3f} [{", ".join(f"{v:+.3f}" for v in bootstrap(over))}] |')
    true,all_ab = torch.cat([down_chroma(rgb_to_lab(o[None])[:,1:], ab[0].shape[2:]) for o in rgb]),torch.stack(ab)
    pick = torch.tensor([k for k,_ in rows[f'one of {DRAWS} draws'][0]])
    apart = (all_ab-true).norm(dim=2).mean((2,3)); alike = torch.stack([F.cosine_similarity(o.flatten(1), true.flatten(1)) for o in ab])
    print(f'\nIs the chosen draw truer than any? It is the nearest in {(apart.argmin(0)==pick).sum()} of {len(rgb)}.')
    for what,o in dict(distance=apart, cosine=alike).items():
        d = o.gather(0, pick[None])[0]-o.mean(0)
        print(f'{what} to the true chroma: {o.mean():.3f}, chosen {o.gather(0, pick[None]).mean():.3f}, {d.mean():+.3f} [{", ".join(f"{v:+.3f}" for v in bootstrap(d))}]')

if __name__=='__main__': main()
