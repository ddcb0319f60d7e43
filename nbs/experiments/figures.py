"""The results of the experiments as tables and figures.

Each page has its raw results beside it, one schema for all:
`experiment,set,n,metric,value,low,high,weights,commit`. An experiment is `study: setting`,
`low` and `high` are a 95 % interval, `weights` the first digits of their SHA-256 where they were
ever packaged, and `commit` is where the figure first stood."""
import matplotlib.pyplot as plt, pandas as pd
from IPython.display import Markdown
from matplotlib_inline.backend_inline import set_matplotlib_formats

set_matplotlib_formats('png') # twice the resolution would weigh four times as much
plt.rcParams['figure.dpi'] = 110

# How a measure is called, its decimals, and whether it is a share of so many pairs or faces
METRICS = {
    'kid_x1000': ('KID × 1000 ↓', 2), 'two_sample': ('two-sample accuracy ↓', 3),
    'top1': ('top-1 ↑', 3), 'top1_over_gray': ('top-1 over gray ↑', 3),
    'colorfulness': ('colorfulness', 1), 'delta_e2000': ('ΔE2000 ↓', 1),
    'unexplained': ('unexplained chroma ↓', 3), 'hint_gain': ('gain in ΔE2000 ↑', 2),
    'chroma_distance': ('distance to the true chroma ↓', 1), 'right_hue': ('right hue ↑', 3),
    'slide_distance': ('distance on slides ↓', 2),
    'first_guess_slide_distance': ('distance of the first guess ↓', 2),
    'first_guess_distance': ('distance of the first guess ↓', 2),
    'moved': ('share of the photograph that moves', '%'),
    'worse': ('photographs that get worse ↓', '%'),
    'faces_right': ('faces: right hue ↑', '%'), 'faces_wrong': ('wrong hue ↓', '%'),
    'faces_gray': ('gray ↓', '%'), 'a_star_spread': ('spread of a\\*', 1),
    'true_share': ('true share of the color', 2), 'variation': ('variation of the chroma', 3)}
SHARES = {'preferred': 'preferred ↑', 'kept': 'one would keep ↑',
          'kept_borderline': 'of these borderline', 'taken_for_true': 'taken for the true one ↑',
          'skin_more_natural': 'skin more natural', 'skin_less_natural': 'skin less natural'}

def read(name):
    "The results of a page, with study and setting of each"
    rows = pd.read_csv(f'{name}.csv', dtype=dict(weights=str)).fillna(dict(weights='–'))
    rows[['study','setting']] = rows.experiment.str.split(': ', n=1, expand=True)
    return rows

def title(metric):
    "What a column is called"
    if metric in SHARES: return SHARES[metric]
    name = METRICS[metric.removesuffix('_change')][0]
    return f'change of {name}' if metric.endswith('_change') else name

def cell(o):
    "A value and its interval, as text"
    if o.metric in SHARES:
        percent = f'{o.value:.0%}'.replace('%', ' %')
        return f'{round(o.value*o.n)} of {o.n} ({percent} [{o.low*100:.0f}, {o.high*100:.0f}])'
    digits = METRICS[o.metric.removesuffix('_change')][1]
    if digits=='%': return f'{o.value*100:.1f} %'
    is_change = o.metric.endswith('_change')
    sign = '+'*(is_change or o.metric=='top1_over_gray')
    digits += o.metric in ('delta_e2000_change','chroma_distance_change')
    digits -= o.metric=='kid_x1000' and o.value>=10
    parts = [f'{v:{sign}.{digits}f}' for v in (o.value, o.low, o.high) if v==v]
    return (parts[0] + (f' [{parts[1]}, {parts[2]}]' if parts[1:] else '')).replace('-', '−')

def markdown(head, rows):
    "A table of texts"
    lines = [head, ['---']*len(head), *rows]
    return Markdown('\n'.join(f"| {' | '.join(o)} |" for o in lines))

def table(
    rows,      # Of one page, from `read`
    study,     # Name of the study
    columns,   # Metrics, or pairs of a set and a metric
    settings=None, # Which of its settings, in this order; a dict gives them other names
    first='',  # Head of the first column
):
    "Settings below each other; weights get a column where they differ"
    found = rows[rows.study==study]
    names = settings if isinstance(settings, dict) else {o: o for o in settings or
                                                        found.setting.unique()}
    found = found[found.setting.isin(list(names))]
    pairs = [(c if isinstance(c, tuple) else (s, c)) for c in columns
             for s in ([0] if isinstance(c, tuple) else found.set.unique())]
    pairs = [(s, m) for s,m in pairs if ((found.set==s) & (found.metric==m)).any()]
    found = found[[o in pairs for o in zip(found.set, found.metric)]]
    who = list(found.weights.unique())
    one_n = {p: len(found[(found.set==p[0]) & (found.metric==p[1])].n.unique())==1 for p in pairs}
    def about(s, m):
        n = found[(found.set==s) & (found.metric==m)].n.iloc[0]
        told = f'{n:,}' in s or m in SHARES or not one_n[s, m]
        return s if told else f'{s} (n={n:,})'
    shared = {about(*p) for p in pairs} if len(pairs)>1 else set()
    measured = {title(m) for _,m in pairs} if len(pairs)>1 and len(shared)!=1 else set()
    def head(s, m):
        parts = [title(m)]*(len(measured)!=1) + [about(s, m)]*(len(shared)!=1)
        return ', '.join(parts)
    lines = []
    for setting,name in names.items():
        for w in found[found.setting==setting].weights.unique():
            o = found[(found.setting==setting) & (found.weights==w)]
            at = {(r.set, r.metric): cell(r)+f' (n={r.n:,})'*(not one_n[r.set, r.metric] and
                                                             r.metric not in SHARES)
                  for r in o.itertuples()}
            shown = f'`{w}`' if w!='–' else w
            lines.append([name, *([shown] if len(who)>1 else []), *(at.get(p, '') for p in pairs)])
    label = '; '.join([*([first] if first else []), *(measured if len(measured)==1 else []),
                       *(shared if len(shared)==1 else []),
                       *([f'`{who[0]}`'] if len(who)==1 and who[0]!='–' else [])])
    return markdown([label, *(['weights']*(len(who)>1)), *(head(*p) for p in pairs)], lines)

def forest(
    found,          # Rows with intervals, drawn from top to bottom
    labels,         # A name for each
    xlabel,
    base=0,         # Where a line is drawn: no change
    ax=None,
):
    "Values with their intervals below each other"
    ax = ax or plt.subplots(figsize=(7, 0.6+0.24*len(found)), layout='constrained')[1]
    y = range(len(found))
    bars = [found.value-found.low, found.high-found.value]
    ax.errorbar(found.value, y, xerr=bars, fmt='o', ms=4, lw=1.5, capsize=2)
    if base is not None: ax.axvline(base, color='gray', lw=1)
    ax.set_yticks(y, list(labels), fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel)
    return ax
