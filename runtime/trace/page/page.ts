/** A trace as one HTML page that needs nothing besides: no network, no files. */
import { createHash } from 'node:crypto';
import type { KernelReport, StepTiming } from '../kernels.ts';
import type { Trace } from '../trace.ts';
import { pageData, type PageData } from './data.ts';
import { script } from './script.ts';
import { style } from './style.ts';

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text: string): string => text.replace(/[&<>"']/g, (c) => escapes[c] ?? c);

/** JSON that may stand in a script element: nothing in it ends one or begins a comment. */
const inScript = (value: unknown): string => JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

const number = (x: number): string => (Number.isNaN(x) ? 'NaN' : x === 0 ? '0' : Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5 ? String(Number(x.toPrecision(3))) : x.toExponential(1));
const percent = (x: number): string => `${Number.isNaN(x) ? 'NaN' : (100 * x).toFixed(x > 0 && x < 0.0995 ? 1 : 0)} %`;
const size = (n: number): string => (n < 1024 ? `${Math.round(n)} B` : n < 1 << 20 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`);

/** `title`: what the page is called; the model's name if absent. */
export function tracePage(trace: Trace, title = trace.model): string {
  const data = pageData(trace);
  const { model, device, tokens } = trace;
  // The page runs its own script and nothing else, and cannot ask for anything.
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}: trace of ${tokens.length} ${tokens.length === 1 ? 'token' : 'tokens'}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>${escape(title)}</h1>
<p>${escape(model)} on ${escape(device.description)}${device.variants === undefined ? '' : `; ${escape(device.variants)}`}</p>
<noscript><p>The maps, the lens and the chart need JavaScript.</p></noscript>
</header>
<section>
<h2>${tokens.length} ${tokens.length === 1 ? 'token' : 'tokens'}</h2>
<p>Choose one: what is below shows it.</p>
<div class="tokens" id="tokens"></div>
</section>
${sections(trace, data).join('\n')}
<footer>Made by peel trace. A dot · is a space, ↵ a line break.</footer>
<div id="tip" hidden></div>
<script type="application/json" id="data">${inScript(data)}</script>
<script>${script}</script>
</body>
</html>
`;
}

function sections(trace: Trace, data: PageData): string[] {
  return [
    ...(data.lens ? [`<section>
<h2>Logit lens</h2>
<p>The token that would follow each token if the model stopped after a layer: bold where it is what the last layer says. Point at one to see others.</p>
<div class="legend"><span>probability</span><span>0</span><span class="ramp"></span><span>100 %</span></div>
<div class="panel scroll tall flush"><table id="lens"></table></div>
</section>`] : []),
    ...(data.maps.length > 0 ? [`<section>
<h2>Attention</h2>
<p>A picture for each layer and head: a row for each token, a column for each token that it looks at. Shades are of the square root of the weight. Choose a picture (arrow keys move), and a row in the large one.</p>
<div class="panel attention">
<div class="grid"><canvas id="grid" tabindex="0" role="img" aria-label="attention maps by layer and head"></canvas></div>
<div class="one"><h3 id="which"></h3><canvas id="one" role="img" aria-label="the chosen attention map"></canvas><h3 id="looker"></h3><div id="looks"></div></div>
</div>
</section>`] : []),
    `<section>
<h2>Residual stream</h2>
<p>Root mean square of the stream behind each layer, and of what each step adds to it, on a logarithmic scale.</p>
<div class="panel">
<div class="legend">${data.chart.series.map(({ name }, n) => `<span><i style="background: var(--s${n % 6})"></i>${escape(name)}</span>`).join('')}<label><input type="checkbox" id="own"> of the chosen token alone</label></div>
<div id="chart"></div>
<details><summary>numbers</summary><div class="scroll">${streamTable(trace)}</div></details>
</div>
</section>`,
    ...(data.experts.length > 0 ? [`<section>
<h2>Experts</h2>
<p>How many tokens chose each expert, by layer; those of the chosen token are framed.</p>
<div class="panel scroll"><canvas id="experts" role="img" aria-label="tokens by layer and expert"></canvas></div>
</section>`] : []),
    ...(trace.kernels ? [kernelSection(trace.kernels)] : []),
  ];
}

/** Text to the left, numbers to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[], texts: number): string {
  const cell = (tag: string, text: string, n: number): string => `<${tag}${n < texts ? ' class="text"' : ''}>${text}</${tag}>`;
  return `<table class="numbers"><thead><tr>${head.map((text, n) => cell('th', escape(text), n)).join('')}</tr></thead><tbody>${
    rows.map((row) => `<tr>${row.map((text, n) => (text.startsWith('<td') ? text : cell('td', text, n))).join('')}</tr>`).join('\n')}</tbody></table>`;
}

function streamTable({ layers, tokens }: Trace): string {
  const extreme = ({ value, token, channel }: { value: number; token: number; channel: number }): string => `${number(value)} <span class="mono">(${escape(tokens[token]?.text.slice(0, 12) ?? '')}, ${channel})</span>`;
  const rows = layers.flatMap(({ layer, steps }) => steps.map((step) => {
    const attention = step.branches.flatMap((b) => b.attention.flatMap((a) => a.heads));
    const hidden = step.branches.flatMap((b) => b.hidden.map(({ sparsity }) => sparsity));
    const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length;
    return [
      String(layer), escape(step.id), number(step.added.rms), number(step.stream.rms), extreme(step.stream.min), extreme(step.stream.max),
      attention.length > 0 ? `${mean(attention.map((e) => e.bits)).toFixed(2)} (${percent(mean(attention.map((e) => e.share)))})` : '',
      hidden.map((s) => percent(s.zeros)).join(', '), hidden.map((s) => percent(s.small)).join(', '),
    ];
  }));
  return table(['layer', 'step', 'adds', 'stream', 'least (token, channel)', 'largest (token, channel)', 'entropy in bits', 'hidden: 0', 'hidden: small'], rows, 2);
}

function kernelSection({ how, repetitions, prompt, token, bandwidth }: KernelReport): string {
  const milliseconds = (x: number): string => (x >= 100 ? x.toFixed(0) : x >= 1 ? x.toFixed(2) : x.toFixed(3));
  const bar = (x: number, most: number, kind: string): string => `<td class="bar ${kind}"><b>${milliseconds(x)}</b><span><i style="width: ${Math.max(0, (100 * x) / most).toFixed(1)}%"></i></span></td>`;
  const most = (timing: StepTiming): number => Math.max(1e-9, ...timing.rows.map((row) => row.milliseconds));
  const main = token ?? prompt;
  const rows = prompt.rows.map((row, n) => {
    const one = token?.rows[n];
    const { bytes, milliseconds: time } = main.rows[n] ?? row;
    const rate = bytes === undefined || time === 0 ? undefined : (bytes / time) * 1000;
    return [
      escape(row.kind), `<span class="mono">${escape(row.label)}</span>`, escape(row.layers), escape(row.shape), bar(row.milliseconds, most(prompt), 'first'), ...(token && one ? [bar(one.milliseconds, most(token), 'second')] : []),
      ...(bytes === undefined ? [] : [size(bytes), rate === undefined ? '' : (rate / 1e9).toFixed(2), ...(bandwidth && rate !== undefined ? [percent(rate / bandwidth.bytesPerSecond)] : [])]),
    ];
  });
  const withBytes = main.rows.some((row) => row.bytes !== undefined);
  const head = ['kernel', 'what', 'layers', 'shape', `${prompt.tokens} ${prompt.tokens === 1 ? 'token' : 'tokens'}, ms`, ...(token ? ['one more, ms'] : []), ...(withBytes ? ['bytes', 'GB/s', ...(bandwidth ? ['of reading'] : [])] : [])];
  const steps = [`the text takes ${milliseconds(prompt.step)} ms`, ...(token ? [`one token after it ${milliseconds(token.step)} ms`] : [])].join(', ');
  const reading = bandwidth ? ` Bytes and GB/s are those of ${token ? 'the one token' : 'the text'}; reading alone has ${(bandwidth.bytesPerSecond / 1e9).toFixed(1)} GB/s.` : '';
  return `<section>
<h2>Kernels</h2>
<p>${escape(`As a whole, ${steps}. By kernel, ${repetitions === 1 ? 'measured once' : `medians of ${repetitions}`}: ${how}.${reading}`)}</p>
<div class="panel scroll flush">${table(head, rows, 4)}</div>
</section>`;
}
