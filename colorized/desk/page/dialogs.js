// What is asked in a window of its own
import {make} from './grid.js'
import {MAP} from './keys.js'

const $ = id => document.getElementById(id)

export function draw_map() {
  const keys = list => list.flatMap((k, i) => [...(i ? [' or '] : []),
    ...k.split(/(?<=.)\+/).flatMap((part, j) => [...(j ? [' '] : []), make('kbd', '', part)])])
  $('map').replaceChildren(...MAP.map(([title, lines]) => {
    const table = make('table', '', make('caption', '', title), make('tbody', '',
      ...lines.map(([list, , words]) => {
        const th = make('th', '', ...keys(list))
        th.scope = 'row'
        return make('tr', '', th, make('td', '', words))
      })))
    return table
  }))
}

export function ask_note(photos) { // the text; null: it is left
  const dialog = $('note-dialog'), text = $('note-text'), one = photos.length === 1
  $('note-about').textContent = one ? photos[0].path : `${photos.length} photographs`
  text.value = one ? photos[0].state.note : ''
  dialog.returnValue = 'cancel'
  text.onkeydown = e => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); dialog.close('keep') }
  }
  dialog.showModal()
  text.focus()
  return new Promise(yes => dialog.addEventListener('close', () =>
    yes(dialog.returnValue === 'keep' ? text.value.trim() : null), {once:true}))
}

export function ask_reviewer(now) { // a name; null: none was given
  const dialog = $('reviewer-dialog'), field = $('reviewer-name')
  field.value = now ?? ''
  dialog.returnValue = ''
  dialog.showModal()
  field.select()
  return new Promise(yes => dialog.addEventListener('close', () =>
    yes(dialog.returnValue === 'keep' && field.value.trim() || null), {once:true}))
}

export function show_delivery(o) { // how far it is, or what became of it
  const said = $('delivered')
  $('deliver-now').disabled = o?.state === 'at work'
  $('undelivered').replaceChildren()
  if (!o) { said.textContent = ''; return }
  if (o.state === 'at work') said.textContent = `Delivering: ${o.done} of ${o.of}.`
  else if (o.state === 'failed') said.textContent = o.error
  else {
    const failed = o.failed.length ? ` ${o.failed.length} could not be delivered:` : ''
    said.textContent = `${o.copied+o.made} delivered, ${o.made} of them made anew, into `
      + `${o.folder}.${failed}`
    const lines = o.failed.map(([path, why]) => make('li', '', `${path}: ${why}`))
    $('undelivered').replaceChildren(...lines)
  }
}
