/** The lines of a run as Markdown: medians over all rounds of all processes, ratios to Peel, share of the bandwidth, agreement. */

export function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const number = (x) => (x === undefined || Number.isNaN(x) ? '' : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2));
const cell = (list) => (list.length === 0 ? '' : `${number(median(list))} [${number(Math.min(...list))}-${number(Math.max(...list))}]`);

export function markdown(lines) {
  const groups = new Map();
  for (const line of lines.filter((l) => l.kind === 'run')) {
    const key = [line.shape, line.format, line.threads, line.id].join('|');
    const group = groups.get(key) ?? { ...line, prefills: {}, decodes: {}, prefillsCpu: {}, decodesCpu: {}, peaks: [], firstTokens: [], processes: 0 };
    groups.set(key, group);
    if (line.failed) { group.failed = line.failed; continue; }
    group.processes++;
    for (const [n, list] of Object.entries(line.prefill)) (group.prefills[n] ??= []).push(...list);
    for (const [n, list] of Object.entries(line.decode)) (group.decodes[n] ??= []).push(...list);
    for (const [n, list] of Object.entries(line.prefillCpu ?? {})) (group.prefillsCpu[n] ??= []).push(...list);
    for (const [n, list] of Object.entries(line.decodeCpu ?? {})) (group.decodesCpu[n] ??= []).push(...list);
    if (line.peakBytes) group.peaks.push(line.peakBytes);
    group.firstTokens.push(line.firstTokenMs ?? NaN);
  }
  const all = [...groups.values()];
  const lengths = (name) => [...new Set(all.flatMap((g) => Object.keys(g[name])))].sort((a, b) => a - b);
  const prefills = lengths('prefills'), decodes = lengths('decodes');
  const peelOf = (g) => groups.get([g.shape, g.format, g.threads, 'peel'].join('|'));
  const ratio = (g, name, n) => {
    const peel = peelOf(g)?.[name][n], other = g[name][n];
    return g.id === 'peel' || !peel?.length || !other?.length ? '' : ` (Peel ${number(median(peel) / median(other))}x)`;
  };
  const head = ['model', 'threads', 'peer', ...prefills.map((n) => `prefill ${n}, tok/s`), ...decodes.map((n) => `decode after ${n}, tok/s`), 'processor ms a token: prefill, decode', 'GB/s of file', 'of probe', 'peak MB', 'agrees with Peel', 'processes'];
  const rows = all.map((g) => {
    const probe = median(lines.filter((l) => l.kind === 'probe' && l.threads === g.threads && l.bandwidth).map((l) => l.bandwidth));
    const check = lines.find((l) => l.kind === 'check' && l.id === g.id && l.shape === g.shape && l.format === g.format && l.threads === g.threads);
    const agrees = g.id.startsWith('peel') ? '' : !check ? '' : check.failed ? `not checked: ${check.failed}` : `${check.same} of ${check.of}${check.same < check.of ? `, at most ${number(check.margin)} deviations apart` : ''}`;
    // An untied token table is looked up, not read: one of two.
    const rate = decodes.length > 0 && g.decodes[decodes[0]]?.length ? (g.fileBytes * median(g.decodes[decodes[0]])) / 1e9 : NaN;
    return [`${g.shape} ${g.format}`, g.threads, g.failed ? `${g.id} FAILED: ${g.failed}` : g.peer,
      ...prefills.map((n) => cell(g.prefills[n] ?? []) + ratio(g, 'prefills', n)), ...decodes.map((n) => cell(g.decodes[n] ?? []) + ratio(g, 'decodes', n)),
      [g.prefillsCpu[prefills[0]], g.decodesCpu[decodes[0]]].map((list) => (list?.length ? number(median(list)) : '-')).join(', '),
      number(rate), Number.isNaN(rate / probe) ? '' : `${Math.round((100 * rate * 1e9) / probe)} %`, g.peaks.length ? number(median(g.peaks) / 1e6) : '', agrees, g.processes];
  });
  const versions = [...new Set(all.filter((g) => !g.failed).map((g) => `${g.peer}: ${g.version}; ${g.detail}`))];
  const probes = [...new Set(lines.filter((l) => l.kind === 'probe').map((l) => l.threads))].map((t) => `${number(median(lines.filter((l) => l.kind === 'probe' && l.threads === t && l.bandwidth).map((l) => l.bandwidth)) / 1e9)} GB/s on ${t} ${t === 1 ? 'thread' : 'threads'}`);
  const products = lines.filter((l) => l.kind === 'matmul');
  const firsts = products.filter((l) => l.first).map((l) => l.first);
  const agree = firsts.every((row) => row.every((x, i) => Math.abs(x - firsts[0][i]) < 1e-5));
  const matmul = [...new Set(products.map((l) => `${l.peer ?? l.failed}|${l.threads}`))].map((key) => {
    const mine = products.filter((l) => `${l.peer ?? l.failed}|${l.threads}` === key);
    return `| ${key.replace('|', ' | ')} | ${number(Math.max(...mine.map((l) => l.best)))} | ${number(median(mine.map((l) => l.median)))} |`;
  });
  const products512 = matmul.length === 0 ? [] : ['', `An f32 product of 512 rows by 512 x 512, results ${agree ? 'equal within 1e-5' : 'DIFFERENT'}:`, '', '| peer | threads | GFLOP/s, best | median |', '|---|---|---|---|', ...matmul];
  return [`| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`, ...rows.map((r) => `| ${r.join(' | ')} |`), '',
    `Memory read alone in the same run: ${probes.join(', ')}.`, ...products512, '', ...versions.map((v) => `- ${v}`)].join('\n');
}
