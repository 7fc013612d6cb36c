// Draws what a page shows as SVG: boxes, borders, text and drawings, each where the browser has put it.
() => {
  const r = value => Math.round(value * 10) / 10;
  const esc = text => text.replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
  const clear = color => color === "transparent" || /^rgba.*, 0\)$|\/ 0\)$/.test(color);
  const pen = document.createElement("canvas").getContext("2d");
  // Any color as #rrggbb and an opacity, as SVG readers know no color-mix() and no light-dark().
  const dot = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const paint = (kind, color) => {
    if (!known.has(color)) {
      dot.clearRect(0, 0, 1, 1);
      dot.fillStyle = color;
      dot.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = dot.getImageData(0, 0, 1, 1).data;
      known.set(color, ["#" + [red, green, blue].map(part => part.toString(16).padStart(2, "0")).join(""), r(alpha / 255)]);
    }
    const [hex, alpha] = known.get(color);
    return `${kind}="${hex}"` + (alpha < 1 ? ` ${kind}-opacity="${alpha}"` : "");
  };
  const at = box => `x="${r(box.x)}" y="${r(box.y)}" width="${r(box.width)}" height="${r(box.height)}"`;
  const seen = box => box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;

  function write(text, box, style, left = box.x, scale = 1) {
    const size = parseFloat(style.fontSize) * scale;
    pen.font = `${style.fontStyle} ${style.fontWeight} ${size}px ${style.fontFamily}`;
    const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = pen.measureText(text);
    const y = box.y + (box.height - up - down) / 2 + up;
    const mono = style.fontFamily.includes("mono") && !style.fontFamily.includes("sans-serif") ? ' class="m"' : "";
    const weight = style.fontWeight === "400" ? "" : ` font-weight="${style.fontWeight}"`;
    return `<text x="${r(left)}" y="${r(y)}" font-size="${r(size)}"${weight}${mono} ${paint("fill", style.color)}>${esc(text)}</text>`;
  }

  // A text that is broken into lines is written line by line.
  function lines(node, style) {
    // A graph is drawn smaller than it is laid out.
    const scale = node.parentElement.closest(".react-flow__node") ? node.parentElement.getBoundingClientRect().width / node.parentElement.offsetWidth : 1;
    const range = document.createRange(), found = [];
    const words = node.data.matchAll(/\S+\s*/g);
    for (const word of words) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].trimEnd().length);
      const box = range.getBoundingClientRect();
      const line = found.at(-1);
      if (line && Math.abs(line.box.y - box.y) < 2) line.text += word[0];
      else found.push({ box, text: word[0] });
    }
    return found.filter(({ box }) => seen(box)).map(({ box, text }) => write(text.trimEnd(), box, style, box.x, scale)).join("");
  }

  function drawing(svg) {
    let out = "";
    for (const shape of svg.querySelectorAll("path, circle, line, polyline, rect, polygon")) {
      if (shape.closest("defs, marker, pattern") || !shape.checkVisibility() || !seen(grown(shape.getBoundingClientRect()))) continue;
      const { a, b, c, d, e, f } = shape.getScreenCTM(), style = getComputedStyle(shape);
      const form = ["d", "cx", "cy", "r", "x", "y", "width", "height", "x1", "y1", "x2", "y2", "points"]
        .filter(name => shape.hasAttribute(name)).map(name => `${name}="${esc(shape.getAttribute(name))}"`).join(" ");
      const none = kind => style[kind] === "none" || style[kind].startsWith("url(") || clear(style[kind]);
      if (none("fill") && none("stroke")) continue;
      const dash = style.strokeDasharray === "none" ? "" : ` stroke-dasharray="${style.strokeDasharray.replaceAll("px", "")}"`;
      const line = none("stroke") ? "" : ` ${paint("stroke", style.stroke)} stroke-width="${parseFloat(style.strokeWidth)}"${dash}`;
      let opacity = 1;
      for (let inner = shape; inner !== svg; inner = inner.parentElement) opacity *= Number(getComputedStyle(inner).opacity);
      const faint = opacity < 1 ? ` opacity="${r(opacity)}"` : "";
      out += `<${shape.tagName} ${form}${faint} transform="matrix(${[a, b, c, d, e, f].map(n => Math.round(n * 1000) / 1000)})" ${none("fill") ? 'fill="none"' : paint("fill", style.fill)}${line}/>`;
    }
    return out;
  }
  const grown = box => new DOMRect(box.x - 1, box.y - 1, box.width + 2, box.height + 2);

  function field(element, box, style) {
    if (element.type === "checkbox") {
      if (style.appearance === "none") return "";
      return `<rect ${at(box)} rx="2.5" fill="${element.checked ? "#3b5bdb" : "#fff"}" stroke="#868e96"/>`;
    }
    const text = element.value || element.placeholder;
    const looks = element.value || !element.placeholder ? style : { ...copy(style), color: getComputedStyle(element, "::placeholder").color };
    return text ? write(text, box, looks, box.x + parseFloat(style.paddingLeft) + parseFloat(style.borderLeftWidth)) : "";
  }
  const copy = ({ fontStyle, fontWeight, fontSize, fontFamily }) => ({ fontStyle, fontWeight, fontSize, fontFamily });

  function frame(box, style) {
    let out = "";
    const round = Math.min(parseFloat(style.borderTopLeftRadius) || 0, box.height / 2);
    const rx = round ? ` rx="${r(round)}"` : "";
    const pattern = style.backgroundImage.match(/gradient\([^(]*(rgba?\([^)]*\))/); // its first color stands for it
    if (pattern) out += `<rect ${at(box)}${rx} ${paint("fill", pattern[1])}/>`;
    else if (!clear(style.backgroundColor)) out += `<rect ${at(box)}${rx} ${paint("fill", style.backgroundColor)}/>`;
    const sides = ["Top", "Right", "Bottom", "Left"].map(side => {
      const width = style[`border${side}Style`] === "none" ? 0 : parseFloat(style[`border${side}Width`]);
      return { width: clear(style[`border${side}Color`]) ? 0 : width, color: style[`border${side}Color`] };
    });
    if (sides.every(side => side.width && side.width === sides[0].width && side.color === sides[0].color)) {
      const half = sides[0].width / 2;
      const inner = new DOMRect(box.x + half, box.y + half, box.width - 2 * half, box.height - 2 * half);
      return out + `<rect ${at(inner)}${rx} fill="none" ${paint("stroke", sides[0].color)} stroke-width="${sides[0].width}"/>`;
    }
    const [top, right, bottom, left] = sides;
    const bar = (side, x, y, width, height) => (side.width ? `<rect ${at({ x, y, width, height })} ${paint("fill", side.color)}/>` : "");
    out += bar(top, box.x, box.y, box.width, top.width) + bar(bottom, box.x, box.bottom - bottom.width, box.width, bottom.width);
    return out + bar(left, box.x, box.y, left.width, box.height) + bar(right, box.right - right.width, box.y, right.width, box.height);
  }

  const layer = node => (node.nodeType === Node.ELEMENT_NODE && Number(getComputedStyle(node).zIndex)) || 0;

  function draw(element) {
    const style = getComputedStyle(element);
    if (style.display === "none" || style.opacity === "0") return "";
    if (element.tagName === "svg") return drawing(element);
    const box = element.getBoundingClientRect();
    const clips = style.overflowX !== "visible" && style.display !== "contents";
    if (clips && !seen(box)) return "";
    let inside = "";
    const shown = style.visibility === "visible" && seen(box);
    if (["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName)) {
      if (shown && element.tagName === "SELECT") inside = write(element.selectedOptions[0].text, box, style, box.x + parseFloat(style.paddingLeft));
      else if (shown) inside = field(element, box, style);
    } else
      for (const node of [...element.childNodes].sort((one, other) => layer(one) - layer(other)))
        if (node.nodeType === Node.ELEMENT_NODE) inside += draw(node);
        else if (node.nodeType === Node.TEXT_NODE && style.visibility === "visible" && node.data.trim()) inside += lines(node, style);
    if (clips && inside) inside = `<svg ${at(box)} viewBox="${r(box.x)} ${r(box.y)} ${r(box.width)} ${r(box.height)}">${inside}</svg>`;
    const out = (shown ? frame(box, style) : "") + inside;
    return out && Number(style.opacity) < 1 ? `<g opacity="${style.opacity}">${out}</g>` : out;
  }

  const body = draw(document.body);
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${innerWidth}" height="${innerHeight}" viewBox="0 0 ${innerWidth} ${innerHeight}" font-family="Inter, 'DejaVu Sans', Verdana, sans-serif">` +
    `<style>.m{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}text{white-space:pre}</style>` +
    `<rect width="100%" height="100%" ${paint("fill", getComputedStyle(document.body).backgroundColor)}/>${body.replaceAll("><", ">\n<")}</svg>\n`
  );
}
