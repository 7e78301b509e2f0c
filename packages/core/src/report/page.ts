/** Look of the report, and the one script it has. */

export const STYLE = `
:root{color-scheme:light dark;--page:#f9f9f7;--card:#fff;--ink:#0b0b0b;--muted:#52514e;--line:#e1e0d9;--accent:#2a78d6}
@media (prefers-color-scheme:dark){:root{--page:#0d0d0d;--card:#1a1a19;--ink:#fff;--muted:#c3c2b7;--line:#353532;--accent:#3987e5}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:64rem;margin:0 auto;padding:2rem 1rem 4rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.5rem 0 .75rem}
h3{font-size:1rem;margin:.25rem 0 .4rem;overflow-wrap:anywhere}
h3 span{font-weight:400}
p{margin:0 0 .75rem;max-width:44rem;overflow-wrap:anywhere}
.muted,h3 span,small{color:var(--muted)}
small{font-size:.8rem;white-space:nowrap}
section>.card+.card{margin-top:.75rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.75rem;min-width:0}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.75rem;margin:1.25rem 0 0}
.facts div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.6rem .85rem}
.facts dt{color:var(--muted);font-size:.85rem}
.facts dd{margin:0;font-size:1.1rem;font-weight:600;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:1fr 1fr;gap:.75rem}
.charts .wide{grid-column:1/-1}
figure{margin:0}
.unmask-chart{display:block;width:100%;height:auto}
.narrow{display:none}
@media (max-width:46rem){.charts{grid-template-columns:1fr}.broad{display:none}.narrow{display:block}}
.strip{display:flex;gap:.75rem;overflow-x:auto;scroll-snap-type:x proximity;padding-bottom:.5rem}
.strip figure{flex:none;max-width:100%;scroll-snap-align:start}
.strip img{display:block;width:auto;height:auto;max-width:100%;max-height:max(90vh,36rem);background:#fff;border-radius:4px}
.strip figcaption{color:var(--muted);font-size:.9rem;padding-top:.35rem}
.slider{display:flex;align-items:center;gap:.75rem;margin-bottom:.6rem}
.slider input{flex:1;min-width:0;max-width:24rem;accent-color:var(--accent)}
.slider output{font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.95rem}
th,td{text-align:left;vertical-align:top;padding:.35rem 1.25rem .35rem 0;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--muted);font-weight:500}
tbody th{font-weight:500}
.evaluation{min-width:100%}
.evaluation tbody th{position:sticky;left:0;background:var(--card)}
.evaluation td{font-variant-numeric:tabular-nums;white-space:nowrap;min-width:8rem}
.bar{display:block;height:4px;border-radius:2px;background:var(--accent);margin-top:.2rem}
.settings{color:var(--muted);font-size:.85rem;padding-left:1.1rem;margin:.6rem 0 0}
.settings b{font-weight:500}
.keys{width:100%}
.keys th{font-weight:400;color:var(--muted)}
.keys td,.keys code{overflow-wrap:anywhere}
.columns{columns:17rem;column-gap:2rem}
.columns div{break-inside:avoid;padding-bottom:.75rem}
summary{cursor:pointer}
code{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.9em}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
footer{margin-top:3rem;font-size:.85rem}
@media print{.strip{flex-wrap:wrap}.slider{display:none}body{background:none}}
`;

/** Turns the strip of pictures into one picture and a slider. Without script the strip stays. */
export const SCRIPT = `
for (const strip of document.querySelectorAll(".strip")) {
  const figures = [...strip.children];
  if (figures.length < 2) continue;
  const bar = document.createElement("div");
  const input = document.createElement("input");
  const output = document.createElement("output");
  bar.className = "slider";
  Object.assign(input, { type: "range", min: 0, max: figures.length - 1, step: 1, value: figures.length - 1 });
  input.setAttribute("aria-label", "Time of the picture");
  const captions = figures.map((figure) => figure.querySelector("figcaption"));
  for (const caption of captions) caption.hidden = true;
  const show = () => {
    const caption = captions[input.value].textContent;
    figures.forEach((figure, i) => (figure.hidden = i !== Number(input.value)));
    input.setAttribute("aria-valuetext", caption);
    output.textContent = caption;
  };
  input.addEventListener("input", show);
  bar.append(input, output);
  strip.before(bar);
  strip.removeAttribute("tabindex");
  show();
}
`;

/** Of {@link SCRIPT}, for the page's content security policy: nothing else may run or be fetched. */
export const SCRIPT_HASH = "sha256-2ahVUUY2cLzakSY+fyNnll2EULYswaReYYj5VASZopw=";
