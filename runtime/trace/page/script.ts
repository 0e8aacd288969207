/**
 * What the trace's page does: plain JavaScript that runs in the page, on the data beside it. All text comes in by `textContent`.
 * One token and one head of attention are selected; everything shows them.
 */
export const script = String.raw`'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const { tokens, maps, lens, chart, experts } = data;
const T = tokens.length;
const $ = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'class') element.className = value;
    else if (name.startsWith('--')) element.style.setProperty(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};
const percent = (p) => (p >= 0.0995 ? Math.round(100 * p) : (100 * p).toFixed(p >= 0.00095 || p === 0 ? 1 : 2)) + ' %';
const short = (x) => (x === null ? 'not a number' : x === 0 ? '0' : Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5 ? String(Number(x.toPrecision(3))) : x.toExponential(1));
/** Classes of text on a shade: it changes its colour where that reads better, in dark pages earlier than in light ones. */
const shade = (p) => (p > 0.75 ? 'dense denser ' : p > 0.6 ? 'dense ' : '');
const state = { token: T - 1, map: 0, head: 0, weights: undefined };

// The small window beside the pointer.
const tip = $('tip');
function showTip(event, title, rows = []) {
  const table = make('table', {}, ...rows.map((row) => make('tr', {}, ...row.map((cell) => make('td', {}, String(cell))))));
  tip.replaceChildren(make('div', {}, title), table);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8)) + 'px';
  tip.style.top = (event.clientY + height + 24 > innerHeight ? event.clientY - height - 10 : event.clientY + 16) + 'px';
}
const hideTip = () => { tip.hidden = true; };
const withTip = (element, describe) => {
  element.addEventListener('mousemove', (event) => { const found = describe(event); if (found) showTip(event, ...found); else hideTip(); });
  element.addEventListener('mouseleave', hideTip);
};

// Colours of the canvases follow the page's.
let ramp = [], shades = new Uint32Array(256), colours = {};
function readColours() {
  const css = getComputedStyle(document.documentElement);
  const rgb = (name) => { const n = parseInt(css.getPropertyValue(name).trim().slice(1), 16); return [n >> 16, (n >> 8) & 255, n & 255]; };
  const [from, to] = [rgb('--panel'), rgb('--heat')];
  ramp = Array.from({ length: 256 }, (_, i) => from.map((c, n) => Math.round(c + (to[n] - c) * i / 255)));
  shades = new Uint32Array(Uint8Array.from(ramp.flatMap((c) => [...c, 255])).buffer);
  colours = Object.fromEntries(['--ink', '--dim', '--line', '--mark', '--panel'].map((name) => [name, css.getPropertyValue(name).trim()]));
}
/** A canvas's context, in units of the page. */
function sized(canvas, width, height) {
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.width = width + 'px';
  canvas.style.height = height + 'px';
  const c = canvas.getContext('2d');
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.imageSmoothingEnabled = false;
  c.font = '12px system-ui, sans-serif';
  return c;
}

// Tokens.
const chips = tokens.map((token, t) => {
  const chip = make('button', { class: 'token', type: 'button', title: t + ': id ' + token.id, 'aria-pressed': 'false' }, token.text);
  chip.addEventListener('click', () => select({ token: t }));
  return chip;
});
$('tokens').append(...chips);

// The logit lens.
const lensCells = [];
if (lens) {
  const last = lens.layers.length - 1;
  const heads = tokens.map((token, t) => { const th = make('th', { title: t + ': ' + token.text }, token.text); th.addEventListener('click', () => select({ token: t })); return th; });
  const rows = lens.layers.map((layer, n) => {
    const cells = lens.guesses[n].map((guess, t) => {
      const [[text, p]] = guess;
      const agrees = text === lens.guesses[last][t][0][0];
      return make('td', { class: shade(p) + (agrees ? 'final' : ''), '--p': p, 'data-layer': n, 'data-token': t }, lens.texts[text]);
    });
    lensCells.push(cells);
    return make('tr', {}, make('th', {}, layer), ...cells);
  });
  $('lens').append(make('thead', {}, make('tr', {}, make('th', {}, 'layer'), ...heads)), make('tbody', {}, ...rows));
  lensCells.unshift(heads);
  withTip($('lens'), (event) => {
    const { layer, token } = event.target.dataset;
    if (layer === undefined) return undefined;
    return ['after ' + tokens[token].text + ', layer ' + lens.layers[layer], lens.guesses[layer][token].map(([text, p]) => [lens.texts[text], percent(p)])];
  });
  // The last layer and the chosen token are in sight.
  const box = $('lens').parentElement;
  box.scrollTo(heads[state.token].offsetLeft, box.scrollHeight);
  $('lens').addEventListener('click', (event) => { if (event.target.dataset.token !== undefined) select({ token: Number(event.target.dataset.token) }); });
}

// Attention: weights are one byte each, of the square root.
const starts = [];
maps.reduce((at, map, n) => { starts[n] = at; return at + map.heads.length * T * T; }, 0);
const weight = (map, head, query, key) => { const q = state.weights[starts[map] + (head * T + query) * T + key] / 255; return q * q; };
async function unpack() {
  const packed = Uint8Array.from(atob(data.weights), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  state.weights = new Uint8Array(await new Response(stream).arrayBuffer());
}
/** One head as a picture of at most so many pixels a side: of several weights in a pixel, the largest. */
function picture(map, head, most) {
  const n = Math.min(T, most);
  const image = new ImageData(n, n);
  const largest = new Uint8Array(n * n);
  const at = starts[map] + head * T * T;
  const place = Uint16Array.from({ length: T }, (_, t) => Math.floor(t * n / T));
  for (let q = 0; q < T; q++) {
    for (let k = 0; k < T; k++) {
      const p = place[q] * n + place[k], v = state.weights[at + q * T + k];
      if (v > largest[p]) largest[p] = v;
    }
  }
  const pixels = new Uint32Array(image.data.buffer);
  largest.forEach((v, p) => { pixels[p] = shades[v]; });
  const canvas = make('canvas', { width: n, height: n });
  canvas.getContext('2d').putImageData(image, 0, 0);
  return canvas;
}
const left = 64, gap = 4;
const columns = Math.max(1, ...maps.map((map) => map.heads.length));
const thumb = Math.max(16, Math.min(52, Math.floor((560 - left) / columns) - gap));
const cellAt = (event) => {
  const column = Math.floor((event.offsetX - left) / (thumb + gap)), row = Math.floor((event.offsetY - 18) / (thumb + gap));
  return column >= 0 && row >= 0 && maps[row] && column < maps[row].heads.length ? { map: row, head: column } : undefined;
};
const nameOf = (map, head) => 'layer ' + maps[map].layer + (maps[map].name === '' ? '' : ', ' + maps[map].name) + ', head ' + head;
const entropyOf = (map, head) => { const [bits, share] = maps[map].heads[head]; return short(bits) + ' bits, ' + (share === null ? '-' : percent(share)) + ' of the most'; };
/** The small pictures, until colours change. */
const thumbs = new Map();
function drawGrid() {
  const c = sized($('grid'), left + columns * (thumb + gap), 18 + maps.length * (thumb + gap));
  c.fillStyle = colours['--dim'];
  for (let h = 0; h < columns; h += thumb < 22 ? 4 : 1) c.fillText(h, left + h * (thumb + gap) + thumb / 2 - 4, 11);
  maps.forEach((map, m) => {
    const y = 18 + m * (thumb + gap);
    c.fillStyle = colours['--dim'];
    if (thumb + gap >= 13 || m % 2 === 0) c.fillText('layer ' + map.layer, 2, y + thumb / 2 + 4);
    map.heads.forEach((_, h) => {
      const x = left + h * (thumb + gap);
      const chosen = m === state.map && h === state.head;
      const key = m + ' ' + h;
      if (!thumbs.has(key)) thumbs.set(key, picture(m, h, Math.round(thumb * (devicePixelRatio || 1))));
      c.drawImage(thumbs.get(key), x, y, thumb, thumb);
      c.strokeStyle = colours[chosen ? '--mark' : '--line'];
      c.lineWidth = chosen ? 2.5 : 1;
      c.strokeRect(x, y, thumb, thumb);
    });
  });
}
let one = { cell: 0, margin: 0 };
function drawOne() {
  const named = T <= 64;
  const margin = named ? 78 : 34;
  const room = Math.max(260, Math.min($('one').parentElement.clientWidth - 4, 640) - margin);
  const cell = Math.min(34, room / T);
  one = { cell, margin };
  const side = cell * T;
  const c = sized($('one'), margin + side + 2, margin + side + 2);
  c.drawImage(picture(state.map, state.head, Math.min(T, Math.round(side * (devicePixelRatio || 1)))), margin, margin, side, side);
  c.strokeStyle = colours['--line'];
  c.strokeRect(margin, margin, side, side);
  c.strokeStyle = colours['--mark'];
  c.strokeRect(margin, margin + state.token * cell, side, Math.max(2, cell));
  c.font = (named ? Math.max(7, Math.min(12, cell - 1)) : 11) + 'px ui-monospace, "DejaVu Sans Mono", monospace';
  const step = named ? 1 : 2 ** Math.ceil(Math.log2(20 / cell));
  for (let t = 0; t < T; t += step) {
    const characters = [...tokens[t].text];
    const text = named ? (characters.length > 10 ? characters.slice(0, 9).join('') + '…' : tokens[t].text) : String(t);
    const at = margin + (t + (named ? 0.5 : 0)) * cell;
    c.fillStyle = colours[t === state.token ? '--mark' : '--dim'];
    c.textBaseline = 'middle';
    c.textAlign = 'right';
    c.fillText(text, margin - 5, named ? at : at + 4);
    c.save();
    c.translate(named ? at : at + 4, margin - 5);
    c.rotate(-Math.PI / 2);
    c.textAlign = 'left';
    c.fillText(text, 0, 0);
    c.restore();
  }
  $('which').textContent = nameOf(state.map, state.head) + ': entropy ' + entropyOf(state.map, state.head);
  $('looks').replaceChildren(...tokens.map((token, k) => {
    const p = weight(state.map, state.head, state.token, k);
    return make('span', { class: shade(Math.sqrt(p)) + (k === state.token ? 'query' : ''), '--p': Math.sqrt(p), title: k + ': ' + percent(p) }, token.text);
  }));
  $('looker').textContent = 'Where ' + tokens[state.token].text + ' (token ' + state.token + ') looks';
}
const pairAt = (event) => {
  const [k, q] = [event.offsetX, event.offsetY].map((x) => Math.floor((x - one.margin) / one.cell));
  return k >= 0 && q >= 0 && k < T && q < T ? { k, q } : undefined;
};
function startAttention() {
  $('grid').addEventListener('click', (event) => { const cell = cellAt(event); if (cell) select(cell); });
  $('grid').addEventListener('keydown', (event) => {
    const [dm, dh] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [0, 0];
    if (dm === 0 && dh === 0) return;
    event.preventDefault();
    const map = Math.max(0, Math.min(maps.length - 1, state.map + dm));
    select({ map, head: Math.max(0, Math.min(maps[map].heads.length - 1, state.head + dh)) });
  });
  withTip($('grid'), (event) => { const cell = cellAt(event); return cell && [nameOf(cell.map, cell.head), [['entropy', entropyOf(cell.map, cell.head)]]]; });
  $('one').addEventListener('click', (event) => { const pair = pairAt(event); if (pair) select({ token: pair.q }); });
  withTip($('one'), (event) => {
    const pair = pairAt(event);
    return pair && ['weight ' + percent(weight(state.map, state.head, pair.q, pair.k)), [['of token ' + pair.q, tokens[pair.q].text], ['on token ' + pair.k, tokens[pair.k].text]]];
  });
}

// Norms.
const svg = (tag, attributes, ...children) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
function drawChart() {
  const own = $('own').checked;
  const values = chart.series.map(({ all, tokens: each }) => (own ? each.map((row) => row && row[state.token]) : all));
  const shown = values.flat().filter((v) => v > 0);
  const width = Math.max(320, $('chart').clientWidth), height = 306, x0 = 56, y0 = 264;
  const layers = chart.layers.length;
  let low = Math.floor(Math.log10(Math.min(...shown, 1e9))), high = Math.ceil(Math.log10(Math.max(...shown, 1e-9)));
  if (!(high > low)) { high = Number.isFinite(low) ? low + 1 : 1; low = Number.isFinite(low) ? low : 0; }
  const x = (n) => x0 + (layers === 1 ? 0.5 : n / (layers - 1)) * (width - x0 - 16);
  const y = (v) => y0 - (Math.log10(v) - low) / (high - low) * (y0 - 12);
  const picture = svg('svg', { width, height, role: 'img', 'aria-label': 'root mean square by layer' });
  const apart = Math.ceil((high - low) / 6);
  for (let power = low; power <= high; power += apart) {
    picture.append(svg('line', { class: 'rule', x1: x0, x2: width - 16, y1: y(10 ** power), y2: y(10 ** power) }), svg('text', { x: x0 - 8, y: y(10 ** power) + 4, 'text-anchor': 'end' }, short(10 ** power)));
  }
  const every = Math.ceil(layers / Math.floor((width - x0) / 40));
  chart.layers.forEach((layer, n) => { if (n % every === 0) picture.append(svg('text', { x: x(n), y: y0 + 18, 'text-anchor': 'middle' }, layer)); });
  picture.append(svg('text', { x: (x0 + width) / 2, y: y0 + 34, 'text-anchor': 'middle' }, 'layer'));
  values.forEach((list, s) => {
    const colour = 'stroke: var(--s' + s % 6 + ')';
    const points = list.map((v, n) => (v > 0 ? x(n).toFixed(1) + ' ' + y(v).toFixed(1) : undefined));
    const path = points.map((p, n) => (p === undefined ? '' : (n === 0 || points[n - 1] === undefined ? 'M' : 'L') + p)).join('');
    picture.append(svg('path', { class: 'line', d: path, style: colour }));
    points.forEach((p) => { if (p !== undefined) { const [cx, cy] = p.split(' '); picture.append(svg('circle', { cx, cy, r: 2.5, style: 'fill: var(--s' + s % 6 + ')' })); } });
  });
  $('chart').replaceChildren(picture);
  withTip(picture, (event) => {
    const n = Math.max(0, Math.min(layers - 1, Math.round((event.offsetX - x0) / (width - x0 - 16) * (layers - 1))));
    return ['layer ' + chart.layers[n] + (own ? ', token ' + state.token : ', all tokens'), chart.series.flatMap(({ name }, s) => (values[s][n] === undefined || values[s][n] === null ? [] : [[name, short(values[s][n])]]))];
  });
}
$('own').addEventListener('change', drawChart);

// Experts.
const count = Math.max(1, ...experts.map((e) => e.counts.length));
const size = Math.max(6, Math.min(26, Math.floor(1000 / count)));
function drawExperts() {
  const c = sized($('experts'), left + count * size + 2, 18 + experts.length * (size + 2));
  c.fillStyle = colours['--dim'];
  for (let e = 0; e < count; e += Math.ceil(24 / size)) c.fillText(e, left + e * size + 2, 11);
  experts.forEach(({ layer, counts, choice }, n) => {
    const y = 18 + n * (size + 2);
    c.fillStyle = colours['--dim'];
    if (size >= 12 || n % 2 === 0) c.fillText('layer ' + layer, 2, y + size / 2 + 4);
    counts.forEach((of, e) => {
      c.fillStyle = 'rgb(' + ramp[Math.round(255 * Math.sqrt(of / T))].join() + ')';
      c.fillRect(left + e * size, y, size - 1, size);
      const chosen = choice[state.token].some(([expert]) => expert === e);
      c.strokeStyle = colours[chosen ? '--mark' : '--line'];
      c.lineWidth = chosen ? 2 : 1;
      c.strokeRect(left + e * size + (chosen ? 1 : 0.5), y + (chosen ? 1 : 0.5), size - (chosen ? 3 : 2), size - (chosen ? 2 : 1));
    });
  });
}
if (experts.length > 0) {
  withTip($('experts'), (event) => {
    const row = experts[Math.floor((event.offsetY - 18) / (size + 2))], e = Math.floor((event.offsetX - left) / size);
    if (!row || !(e >= 0) || row.counts[e] === undefined) return undefined;
    const by = row.choice.flatMap((chosen, t) => { const found = chosen.find(([expert]) => expert === e); return found ? [[tokens[t].text, short(found[1])]] : []; });
    return ['layer ' + row.layer + ', expert ' + e + ': ' + row.counts[e] + ' of ' + T + ' tokens', [...by.slice(0, 12), ...(by.length > 12 ? [['…', '']] : [])]];
  });
}

function select(change) {
  const before = { ...state };
  Object.assign(state, change);
  for (const cells of lensCells) { cells[before.token].classList.remove('selected'); cells[state.token].classList.add('selected'); }
  chips[before.token].setAttribute('aria-pressed', 'false');
  chips[state.token].setAttribute('aria-pressed', 'true');
  if (state.weights) { if (change.map !== undefined || change.all) drawGrid(); drawOne(); }
  if (experts.length > 0) drawExperts();
  if ($('own').checked || change.all) drawChart();
}
function redraw() {
  readColours();
  thumbs.clear();
  select({ all: true });
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
let waiting;
addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(redraw, 120); });
redraw();
if (maps.length > 0) {
  unpack().then(() => { startAttention(); redraw(); document.body.dataset.ready = 'true'; }, (error) => { $('which').textContent = 'This browser cannot unpack the attention maps: ' + error.message; });
} else document.body.dataset.ready = 'true';
`;
