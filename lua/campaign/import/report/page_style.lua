-- SPDX-License-Identifier: MIT
-- The style of report.html: light and dark as the reader's system, narrow screens, print. Colours are those of Okabe and Ito, which people tell
-- apart who see fewer of them; no state is told by its colour alone.

return [[
:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--soft:#59636e;--line:#d1d9e0;--box:#f6f8fa;--link:#0550ae;
--accepted:#0072b2;--accepted_pending:#56b4e9;--rejected:#d55e00;--duplicate:#8a8a8a;--suppressed:#cc79a7;--unchanged:#b8bfc6;
--ambiguous:#e69f00;--pending:#4b5563;--gap:#e9ecef;--good:#0072b2;--some:#b37700;--bad:#c04e00}
@media(prefers-color-scheme:dark){:root{--back:#0d1117;--text:#e6edf3;--soft:#9ba6b2;--line:#3d444d;--box:#161b22;--link:#79b8ff;
--accepted:#3a9bd9;--accepted_pending:#8fd0f5;--rejected:#f0803c;--duplicate:#a0a0a0;--unchanged:#6b737c;--ambiguous:#f2b632;--pending:#c3cad2;
--gap:#1c2128;--good:#3a9bd9;--some:#f2b632;--bad:#f0803c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:1rem;background:var(--back);color:var(--text);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI","PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
#en:checked~main [lang="zh-CN"],#zh:checked~main [lang="en"]{display:none}
label{margin-right:1rem}
a{color:var(--link)}h1{font-size:1.5rem;margin:.5rem 0 0}h2{font-size:1.15rem;margin:1.6rem 0 .5rem}header p{margin:0;color:var(--soft)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
bdi{overflow-wrap:anywhere}
.verdict{background:var(--box);border:1px solid var(--line);border-left:.6rem solid var(--good);border-radius:.4rem;padding:.2rem 1rem .6rem;margin:1rem 0}
.verdict.some{border-left-color:var(--some)}.verdict.bad{border-left-color:var(--bad)}.sentence{font-size:1.2rem}
.verdict h2{margin-top:.8rem}ol,ul{padding-left:1.4rem}
pre{margin:.3rem 0;padding:.4rem .6rem;background:var(--back);border:1px solid var(--line);border-radius:.3rem;white-space:pre-wrap;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}caption{text-align:left;color:var(--soft);padding:.3rem 0}
h2+.wide caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;font-weight:normal}
thead th,tfoot th,tfoot td{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.n{white-space:nowrap}
svg{display:block;width:100%;height:auto}svg.bar{height:2.2rem;margin:.4rem 0}svg.share{width:12rem;height:.9rem;margin-top:.3rem}
svg text{font-size:13px;fill:var(--soft)}
.key{display:inline-block;width:.8rem;height:.8rem;margin-right:.5rem;border-radius:.15rem}
.accepted{fill:var(--accepted);background:var(--accepted)}.accepted_pending{fill:var(--accepted_pending);background:var(--accepted_pending)}
.rejected{fill:var(--rejected);background:var(--rejected)}.duplicate{fill:var(--duplicate);background:var(--duplicate)}
.suppressed{fill:var(--suppressed);background:var(--suppressed)}.unchanged{fill:var(--unchanged);background:var(--unchanged)}
.ambiguous{fill:var(--ambiguous);background:var(--ambiguous)}.pending{fill:var(--pending);background:var(--pending)}
.grid{stroke:var(--line)}.gap{fill:var(--gap)}.repeat{fill:var(--ambiguous)}.throttled{fill:var(--rejected)}
.p50,.p95{fill:none;stroke:var(--accepted);stroke-width:2.5;stroke-linecap:round}.p95{stroke:var(--rejected);stroke-dasharray:2 5}
figure{margin:1rem 0}figcaption,.small{color:var(--soft)}summary{cursor:pointer}
dl{display:grid;grid-template-columns:minmax(9rem,auto) 1fr;gap:.2rem 1rem}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
@media(max-width:36rem){dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}svg.share{width:5rem}table{min-width:34rem}
figure{overflow-x:auto}figure>svg{min-width:36rem}}
@media print{:root{--back:#fff;--text:#000;--soft:#444;--line:#bbb;--box:#fff;--link:#000}body{max-width:none;font-size:10pt}
.wide{overflow:visible}table{font-size:8.5pt}th,td{padding:.2rem .4rem}
body>input,body>label,summary{display:none}section,figure,tr{break-inside:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
]]
