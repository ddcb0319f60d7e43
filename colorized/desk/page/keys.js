// Which key does what; the map on `?` is drawn from the same list

const letters = {Space:' ', '→':'ArrowRight', '←':'ArrowLeft', '↑':'ArrowUp', '↓':'ArrowDown',
  Esc:'Escape', 'Page ↑':'PageUp', 'Page ↓':'PageDown', '−':'-'}

export const MAP = [
  ['Decide', [
    [['A'], 'accepted', 'Accept'], [['X'], 'rejected', 'Reject'],
    [['F'], 'flagged', 'Flag, for a second look'], [['U'], 'undecided', 'Undecided again'],
    [['N'], 'note', 'Write a note'], [['Ctrl+Z'], 'undo', 'Undo'],
    [['Ctrl+Shift+Z', 'Ctrl+Y'], 'redo', 'Redo']]],
  ['Colors', [
    [['S'], 'seeds', 'Other seeds, side by side'], [['1 … 9'], 'pick', 'Take one of them'],
    [['+'], 'stronger', 'Stronger'], [['−'], 'calmer', 'Calmer'],
    [['0'], 'as_run', 'As in the album']]],
  ['Move', [
    [['→'], 'next', 'Next'], [['←'], 'previous', 'Previous'],
    [['↓'], 'below', 'Row below'], [['↑'], 'above', 'Row above'],
    [['Page ↓', 'Page ↑'], 'page', 'A screen on, back'], [['Home', 'End'], 'ends', 'First, last'],
    [['Shift+→'], 'extend', 'Choose several'], [['Ctrl+A'], 'choose_all', 'Choose all'],
    [['R'], 'again', 'Put in order anew']]],
  ['Look', [
    [['Enter', 'Space'], 'open', 'Loupe, and back'], [['Esc'], 'back', 'Back'],
    [['W'], 'wipe', 'Gray beside color'], [['G'], 'gray', 'Gray, and back'],
    [['['], 'less', 'Less gray'], [[']'], 'more', 'More gray'],
    [['Z'], 'zoom', '100 %, and back'], [['Shift+←'], 'pan', 'At 100 %: another part'],
    [['I'], 'info', 'About this photograph'], [['/'], 'search', 'Search'],
    [['?'], 'help', 'These keys']]],
]
const FURTHER = {j:'next', k:'previous', '=':'stronger', _:'calmer', Delete:'undecided'}
const PLAIN = new Map(Object.entries(FURTHER))
for (const [, lines] of MAP)
  for (const [keys, act] of lines)
    for (const key of keys)
      if (!key.includes('+') || key === '+') PLAIN.set(letters[key] ?? key.toLowerCase(), act)
PLAIN.set('PageDown', 'page_on').set('PageUp', 'page_back').set('Home', 'first').set('End', 'last')
PLAIN.delete('1 … 9'); PLAIN.delete('home'); PLAIN.delete('end'); PLAIN.delete('enter')
PLAIN.set('Enter', 'open')
const ALWAYS = new Set(['Enter', 'Escape', 'ArrowRight', 'ArrowLeft', 'ArrowUp', 'ArrowDown',
  'PageDown', 'PageUp', 'Home', 'End', ' '])

const writes = o => o.matches?.('textarea, select, input:not([type=range]):not([type=checkbox])')

export function act_of(e, single) { // what a key asks for; null: nothing of ours
  const at = e.target, command = e.ctrlKey || e.metaKey
  if (e.isComposing || e.altKey || document.querySelector('dialog[open]')) return null
  if (writes(at)) return e.key === 'Escape' ? 'leave' : null
  if (command) {
    const key = e.key.toLowerCase()
    if (key === 'z') return e.shiftKey ? 'redo' : 'undo'
    return {y:'redo', a:'choose_all'}[key] ?? null
  }
  if (at.matches?.('input[type=range]') && /^(Arrow|Page|Home|End)/.test(e.key)) return null
  if (at.closest?.('button, a, summary') && (e.key === 'Enter' || e.key === ' ')) return null
  if (e.shiftKey && e.key.startsWith('Arrow')) return `extend_${e.key.slice(5).toLowerCase()}`
  if (!single && !ALWAYS.has(e.key)) return null
  if (/^[1-9]$/.test(e.key)) return `pick_${e.key}`
  return PLAIN.get(e.key.length === 1 ? e.key.toLowerCase() : e.key) ?? null
}
