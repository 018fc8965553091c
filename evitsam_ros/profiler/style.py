# SPDX-License-Identifier: Apache-2.0
"""The style of the pages: light and dark as the reader's machine is, and on paper."""

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #1b2330; --soft: #5b6675;
  --line: #e2e6eb; --accent: #3b6fd4; --pale: #b9cdf3; --warn: #8a5a00; --warn-page: #fff4dc;
  --faster: #1f8a63; --slower: #c43d4b; --c0: #3b6fd4; --c1: #e0872b; --c2: #2f9e7f; --c3: #c2477f;
  --c4: #8d6bd0; --c5: #b39a16; --c6: #3d9cc4; --c7: #8f97a3; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1a2029; --ink: #e6eaf0;
  --soft: #9aa5b4; --line: #2c3541; --accent: #7aa5f5; --pale: #33507f; --warn: #f0c36a;
  --warn-page: #332a17; --faster: #57c99c; --slower: #f0808a; --c0: #7aa5f5; --c1: #f0a35a; --c2: #55c2a2;
  --c3: #e47cac; --c4: #b39af0; --c5: #d8c250; --c6: #76c3e4; --c7: #7e8896; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 17px; margin: 0 0 4px; }
p { margin: 0 0 12px; } .soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 20px 24px; margin: 18px 0; overflow-x: auto; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 14px;
  margin: 20px 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px; }
.card b { display: block; font-size: 25px; font-weight: 650; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 13px; }
.warning { background: var(--warn-page); color: var(--warn); border-radius: 8px; padding: 8px 14px;
  margin: 8px 0; }
svg { display: block; width: 100%; min-width: 720px; height: auto; margin-top: 14px; }
svg text { font-size: 12.5px; fill: var(--ink); }
svg .tick { fill: var(--soft); font-size: 11.5px; } svg .value { font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--line); } svg .one { stroke: var(--soft); stroke-width: 1.5; }
svg .bar { fill: var(--pale); } svg .floor { fill: var(--accent); }
svg .mark { stroke: var(--ink); stroke-dasharray: 4 4; opacity: 0.6; }
svg .curve { fill: none; stroke: var(--own); stroke-width: 2; stroke-linejoin: round; }
svg .lead { fill: none; stroke: var(--own); opacity: 0.5; } svg .part { fill: var(--own); }
.c0 { --own: var(--c0); } .c1 { --own: var(--c1); } .c2 { --own: var(--c2); } .c3 { --own: var(--c3); }
.c4 { --own: var(--c4); } .c5 { --own: var(--c5); } .c6 { --own: var(--c6); } .c7 { --own: var(--c7); }
.whole { --own: var(--ink); } svg .interval { stroke: var(--own); stroke-width: 2.5; stroke-linecap: round; }
svg .dot { fill: var(--own); } .faster { --own: var(--faster); } .slower { --own: var(--slower); }
.unknown { --own: var(--soft); } td.faster, td.slower { color: var(--own); font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; color: var(--soft); }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px;
  background: var(--own); }
.legend .bar { --own: var(--pale); } .legend .floor { --own: var(--accent); }
table { border-collapse: collapse; width: 100%; margin: 8px 0 16px; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } td.left, th.left { text-align: left; }
td.wrap { white-space: normal; text-align: left; overflow-wrap: anywhere; vertical-align: top; }
td.wrap:first-child { overflow-wrap: normal; min-width: 150px; color: var(--soft); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(460px, 1fr)); gap: 0 36px; }
code { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { background: var(--page); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; margin: 8px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
@media print { section, .card { break-inside: avoid; } }
@media (max-width: 560px) { .facts { grid-template-columns: 1fr; } main { padding: 20px 10px; } }
"""
