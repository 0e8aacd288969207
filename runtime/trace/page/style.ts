/** How the trace's page looks: light or dark as the reader's system is. */
export const style = `
:root { color-scheme: light dark; --bg: #f7f6f3; --panel: #ffffff; --ink: #1d1c1a; --dim: #66645e; --line: #dedbd4; --heat: #17509e; --on-heat: #ffffff; --mark: #c8460a;
  --s0: #55534d; --s1: #1f6fd0; --s2: #cf6a00; --s3: #2b8a4b; --s4: #8a4fc0; --s5: #b33a6b; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #131315; --panel: #1b1b1e; --ink: #eae8e3; --dim: #a19e97; --line: #37363b; --heat: #7db7ff; --on-heat: #0c1420; --mark: #ff9a57;
    --s0: #b9b6ae; --s1: #6aaeff; --s2: #ffa94d; --s3: #69c98a; --s4: #c39bf0; --s5: #f08bb0; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
header, section { max-width: 1240px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 24px; }
section { padding-top: 28px; }
footer { max-width: 1240px; margin: 0 auto; padding: 32px 20px 40px; color: var(--dim); font-size: 13px; }
h1 { font-size: 24px; margin: 0 0 2px; }
h2 { font-size: 17px; margin: 0 0 2px; }
h3 { font-size: 14px; margin: 0 0 6px; font-weight: 600; }
p { margin: 0 0 10px; color: var(--dim); max-width: 90ch; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 14px; }
.scroll { overflow: auto; max-height: 620px; }
.flush { padding: 0; }
.scroll.tall { max-height: min(900px, 94vh); }
.mono, .token, #lens td, #lens thead th, #looks span { font-family: ui-monospace, "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 12.5px; }
.tokens { display: flex; flex-wrap: wrap; gap: 3px; max-height: 220px; overflow: auto; }
.token { border: 1px solid var(--line); background: var(--panel); color: inherit; border-radius: 4px; padding: 2px 5px; cursor: pointer; white-space: pre; max-width: 24ch; overflow: hidden; text-overflow: ellipsis; }
.token:hover { border-color: var(--dim); }
.token[aria-pressed=true] { border-color: var(--mark); box-shadow: inset 0 0 0 1px var(--mark); }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
#lens th, #lens td { padding: 2px 5px; border-right: 1px solid var(--bg); border-bottom: 1px solid var(--bg); white-space: pre; max-width: 84px; min-width: 46px; overflow: hidden; text-overflow: ellipsis; text-align: left; font-weight: 400; }
#lens thead th { position: sticky; top: 0; z-index: 2; background: var(--panel); color: var(--dim); border-bottom: 1px solid var(--line); cursor: pointer; }
#lens tbody th, #lens thead th:first-child { position: sticky; left: 0; z-index: 1; background: var(--panel); color: var(--dim); min-width: 58px; font: 13px system-ui, sans-serif; }
#lens thead th:first-child { z-index: 3; cursor: default; }
#lens td { background: color-mix(in srgb, var(--heat) calc(var(--p) * 100%), var(--panel)); }
#lens td.dense { color: var(--on-heat); }
#lens .final { font-weight: 700; }
#lens thead th.selected { color: var(--mark); box-shadow: inset 0 -2px var(--mark); }
#lens td.selected { box-shadow: inset 1px 0 var(--mark), inset -1px 0 var(--mark); }
.legend { display: flex; flex-wrap: wrap; gap: 6px 16px; align-items: center; color: var(--dim); font-size: 13px; margin: 0 0 8px; }
.legend i { display: inline-block; width: 14px; height: 3px; border-radius: 2px; vertical-align: middle; margin-right: 5px; }
.legend .ramp { width: 120px; height: 10px; background: linear-gradient(to right, var(--panel), var(--heat)); border: 1px solid var(--line); }
.attention { display: flex; flex-wrap: wrap; gap: 18px; align-items: flex-start; }
.attention > .grid { overflow: auto; max-height: 640px; max-width: 100%; flex: 0 1 auto; }
.attention > .one { flex: 1 1 440px; min-width: 300px; }
canvas { display: block; outline-offset: 2px; }
#looks { display: flex; flex-wrap: wrap; gap: 2px; margin-top: 4px; max-height: 180px; overflow: auto; }
#looks span { padding: 1px 4px; border-radius: 3px; white-space: pre; background: color-mix(in srgb, var(--heat) calc(var(--p) * 100%), var(--panel)); border: 1px solid var(--line); max-width: 24ch; overflow: hidden; text-overflow: ellipsis; }
#looks span.dense { color: var(--on-heat); }
#looks span.query { border-color: var(--mark); box-shadow: inset 0 0 0 1px var(--mark); }
svg text { fill: var(--dim); font: 12px system-ui, sans-serif; }
svg .rule { stroke: var(--line); }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.numbers { font-size: 13px; min-width: 100%; }
.numbers th { font-weight: 500; color: var(--dim); text-align: right; position: sticky; top: 0; background: var(--panel); border-bottom: 1px solid var(--line); }
.numbers th, .numbers td { padding: 2px 9px; white-space: nowrap; }
.numbers td { text-align: right; border-bottom: 1px solid color-mix(in srgb, var(--line) 50%, transparent); }
.numbers th.text, .numbers td.text { text-align: left; }
.bar b { display: inline-block; width: 50px; text-align: right; font-weight: 400; }
.bar span { display: inline-block; vertical-align: middle; width: 92px; height: 9px; text-align: left; margin-left: 7px; }
.bar i { display: block; height: 100%; border-radius: 2px; background: var(--s1); min-width: 1px; }
.bar.second i { background: var(--s2); }
#lens tr > :first-child { padding-left: 12px; }
.numbers tr > :first-child { padding-left: 14px; }
details > summary { cursor: pointer; color: var(--dim); }
details[open] > summary { margin-bottom: 8px; }
label { color: var(--dim); font-size: 13px; cursor: pointer; }
#tip { position: fixed; z-index: 9; pointer-events: none; background: var(--panel); color: var(--ink); border: 1px solid var(--dim); border-radius: 6px; padding: 6px 9px; font-size: 13px; max-width: 340px; box-shadow: 0 3px 14px rgb(0 0 0 / .25); }
#tip table { font-size: 12.5px; } #tip td { padding: 0 8px 0 0; white-space: pre; max-width: 220px; overflow: hidden; text-overflow: ellipsis; } #tip td:last-child { text-align: right; padding: 0; }
@media (prefers-color-scheme: light) { #lens td.dense:not(.denser), #looks span.dense:not(.denser) { color: inherit; } }
[hidden] { display: none !important; }
`;
