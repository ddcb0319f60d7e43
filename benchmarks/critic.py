"""A recognizer as a critic: what is won when one recognizer chooses among finished colorings and
another judges, and are the chosen colors truer?

`python benchmarks/critic.py FOLDER CLASSES.json [--n 1000]`: photographs and their ImageNet classes
as `further.py` writes them, central squares, the network at 256 px. The critic takes the coloring
in which it is surest of the class that it sees in gray and in the draws together."""
import argparse
import torch, torch.nn.functional as F
from shared import load_squares, render

STRENGTHS = (1., 0.5, 0.75, 1.3) # of a draw's chroma
PRICE = 0.1 # in log-probability, for each unit of strength that is given up
DRAWS = 3

def log_probabilities(critic, rgb):
    return torch.cat([critic.logits(critic(o)).log_softmax(1) for o in rgb.split(20)])

def choose(P, gray, draws, strengths):
    """Which draw and which strength the critic takes, a pair for each photograph

    Of the log-probabilities `P[draw][strength]`, each (N,1000)."""
    together = torch.stack([P[k][1.] for k in draws]).exp().mean(0)+gray.exp()
    sure = together.argmax(1, keepdim=True)
    pairs = [(k, s) for k in draws for s in strengths]
    worth = [P[k][s].gather(1, sure)[:,0]-PRICE*(max(strengths)-s) for k,s in pairs]
    return [pairs[o] for o in torch.stack(worth).argmax(0)]

class Gallery:
    "All draws at all strengths, as critic and judge see them"
    def __init__(self, rgb, labels, L, ab, critic, judge):
        from colorized.evaluation.features import extract_features
        self.judge,self.labels = judge,labels
        self.real = extract_features(rgb, judge)
        self.P,self.features,self.hits = [[{} for _ in ab] for _ in range(3)]
        dull = render(L, 0*ab[0])
        self.gray = log_probabilities(critic, dull)
        self.gray_features,self.gray_hits = self.judged(dull)
        for k,o in enumerate(ab):
            for s in STRENGTHS:
                x = render(L, s*o)
                self.P[k][s] = log_probabilities(critic, x)
                self.features[k][s],self.hits[k][s] = self.judged(x)
    def judged(self, rgb):
        from colorized.evaluation.features import extract_features
        from colorized.evaluation.measurement import top1_hits
        f = extract_features(rgb, self.judge)
        return f,top1_hits(self.judge.logits(f), self.labels)
    def kid(self, features):
        from colorized.evaluation.distances import kid
        return 1000*kid(self.real, features, paired=True)
    def figures(self, picks):
        "KID and hits of one choice or several, whose mean is taken"
        kids,hits = [],[]
        for pick in picks:
            chosen = lambda table: torch.stack([table[k][s][i] for i,(k,s) in enumerate(pick)])
            kids.append(self.kid(chosen(self.features)))
            hits.append(chosen(self.hits).double())
        return sum(kids)/len(kids),torch.stack(hits).mean(0)
    def choices(self):
        "Rows of the table: what is chosen -> one choice or several"
        choose_from = lambda draws, strengths: choose(self.P, self.gray, draws, strengths)
        every = range(DRAWS)
        return {'one draw': [[(k,1.)]*len(self.labels) for k in every],
                'its strength chosen': [choose_from([k], STRENGTHS) for k in every],
                f'one of {DRAWS} draws': [choose_from(every, (1.,))],
                f'one of {DRAWS} draws and its strength': [choose_from(every, STRENGTHS)]}

def interval(values):
    from colorized.evaluation.distances import bootstrap
    return f"[{', '.join(f'{v:+.3f}' for v in bootstrap(values))}]"

def print_truth(rgb, ab, pick):
    "Is the chosen draw truer than any?"
    from colorized.photo.lab import rgb_to_lab
    from colorized.photo.resampling import down_chroma
    size = ab[0].shape[2:]
    true = torch.cat([down_chroma(rgb_to_lab(o[None])[:,1:], size) for o in rgb])
    apart = (torch.stack(ab)-true).norm(dim=2).mean((2,3))
    alike = torch.stack([F.cosine_similarity(o.flatten(1), true.flatten(1)) for o in ab])
    nearest = (apart.argmin(0)==pick).sum()
    print(f'\nIs the chosen draw truer than any? It is the nearest in {nearest} of {len(rgb)}.')
    for what,o in dict(distance=apart, cosine=alike).items():
        chosen = o.gather(0, pick[None])[0]
        d = chosen-o.mean(0)
        print(f'{what} to the true chroma: {o.mean():.3f}, chosen {chosen.mean():.3f}, '
              f'{d.mean():+.3f} {interval(d)}')

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    p.add_argument('folder')
    p.add_argument('classes')
    p.add_argument('--model')
    p.add_argument('--n', type=int, help='only the first so many')
    p.add_argument('--critic', default='lite0')
    p.add_argument('--judge', default='lite2')
    args = p.parse_args()
    from colorized.evaluation.features import LiteExtractor
    from colorized.inference.colorizer import Colorizer
    from colorized.photo.lab import rgb_to_L
    torch.set_num_threads(1)
    rgb,labels = load_squares(args.folder, args.classes, args.n)
    c,L = Colorizer.from_pretrained(args.model, 'cpu'),rgb_to_L(rgb)
    def draw(k):
        drawn = [c.sample(c.condition(l[None]), [100_000*k+i]) for i,l in enumerate(L)]
        return torch.cat(drawn)
    ab = [draw(k) for k in range(DRAWS)]
    gallery = Gallery(rgb, labels, L, ab, LiteExtractor(args.critic), LiteExtractor(args.judge))
    print(f'{len(rgb)} photographs, model {c.sha256[:12]}, critic {args.critic}, '
          f'judge {args.judge}\n\n| | KID × 1000 | top-1 | over gray |\n|---|---|---|---|')
    gray_kid,gray_hits = gallery.kid(gallery.gray_features),gallery.gray_hits
    print(f'| gray | {gray_kid:.3g} | {gray_hits.mean():.3f} | |')
    choices = gallery.choices()
    for what,picks in choices.items():
        value,hits = gallery.figures(picks)
        over = hits-gray_hits
        print(f'| {what} | {value:.3g} | {hits.mean():.3f} | {over.mean():+.3f} '
              f'{interval(over)} |')
    print_truth(rgb, ab, torch.tensor([k for k,_ in choices[f'one of {DRAWS} draws'][0]]))

if __name__=='__main__': main()
