/** One HTML file, with nothing fetched, in which clouds can be turned with the mouse or a finger. */
import { COLOURS, type PointRows } from "./grid.js";

const TITLES = ["original", "visible", "reconstructed", "reconstructed + visible"] as const;

/** @param title of the page, and its heading */
export function pointPage(reconstruction: PointRows, title: string): string {
  const { rows, covers, note } = reconstruction;
  const colours = { v: COLOURS.visible, r: COLOURS.reconstructed };
  const data = rows.map(({ original, visible, reconstructed }) => ({
    o: encode(original),
    v: encode(visible),
    r: encode(reconstructed),
  }));
  const columns = covers === "hidden" ? TITLES : TITLES.slice(0, 3);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem;color:#222;background:#fff}
h1{font-size:1.2rem;margin:0}
table{border-spacing:8px}
th{font-weight:600;text-align:center}
canvas{width:240px;height:240px;background:#fafafa;border:1px solid #ddd;cursor:grab;touch-action:none}
</style></head><body>
<h1>${escapeHtml(title)}</h1>
<p>Drag to turn, scroll to zoom, double click to begin again. ${escapeHtml(note)}.</p>
<table><thead><tr>${columns.map((name) => `<th scope="col">${name}</th>`).join("")}</tr></thead><tbody id="rows"></tbody></table>
<script>
const DATA=${JSON.stringify(data)},COLOURS=${JSON.stringify(colours)},COLUMNS=${JSON.stringify(columns)};
${SCRIPT}
</script></body></html>
`;
}

/** Coordinates as base64 of float32. */
function encode(points: Float32Array): string {
  const bytes = new Uint8Array(points.buffer, points.byteOffset, points.byteLength);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

const SCRIPT = `
const decode=text=>new Float32Array(Uint8Array.from(atob(text),c=>c.charCodeAt(0)).buffer);
let turn=0.6,lift=0.35,zoom=1,asked=false;
const cells=[];
for(const item of DATA){
  const o=decode(item.o),v=decode(item.v),r=decode(item.r);
  const low=[1/0,1/0,1/0],high=[-1/0,-1/0,-1/0];
  o.forEach((x,i)=>{low[i%3]=Math.min(low[i%3],x);high[i%3]=Math.max(high[i%3],x)});
  const middle=low.map((x,i)=>(x+high[i])/2),reach=Math.hypot(...low.map((x,i)=>(high[i]-x)/2))||1;
  const layers=[[[o,COLOURS.v]],[[v,COLOURS.v]],[[r,COLOURS.r]],[[v,COLOURS.v],[r,COLOURS.r]]];
  const row=document.getElementById("rows").insertRow();
  COLUMNS.forEach((name,i)=>{
    const canvas=document.createElement("canvas");
    canvas.width=canvas.height=480;canvas.setAttribute("role","img");canvas.setAttribute("aria-label",name);
    row.insertCell().append(canvas);
    cells.push({canvas,layers:layers[i],middle,reach});
  });
}
function draw(){
  asked=false;
  const a=Math.cos(turn),b=Math.sin(turn),c=Math.cos(lift),d=Math.sin(lift);
  for(const {canvas,layers,middle,reach} of cells){
    const g=canvas.getContext("2d"),size=canvas.width,scale=zoom*0.47*size/reach,all=[];
    g.clearRect(0,0,size,size);
    for(const [points,colour] of layers)for(let i=0;i<points.length;i+=3){
      const x=points[i]-middle[0],y=points[i+1]-middle[1],z=points[i+2]-middle[2];
      const near=a*z-b*x;
      all.push([size/2+scale*(a*x+b*z),size/2-scale*(c*y-d*near),c*near+d*y,colour]);
    }
    all.sort((p,q)=>p[2]-q[2]);
    for(const [px,py,depth,colour] of all){
      const share=0.35+0.65*Math.min(1,Math.max(0,(depth/reach+1)/2));
      g.fillStyle="rgb("+colour.map(x=>Math.round(255+share*(x-255)))+")";
      g.beginPath();g.arc(px,py,4,0,7);g.fill();
    }
  }
}
const ask=()=>{if(!asked){asked=true;requestAnimationFrame(draw)}};
for(const {canvas} of cells){
  canvas.onpointerdown=e=>canvas.setPointerCapture(e.pointerId);
  canvas.onpointermove=e=>{if(!e.buttons)return;turn-=e.movementX/120;lift=Math.max(-1.5,Math.min(1.5,lift+e.movementY/120));ask()};
  canvas.addEventListener("wheel",e=>{e.preventDefault();zoom=Math.max(0.3,Math.min(8,zoom*Math.exp(-e.deltaY/600)));ask()},{passive:false});
  canvas.ondblclick=()=>{turn=0.6;lift=0.35;zoom=1;ask()};
}
draw();`;
