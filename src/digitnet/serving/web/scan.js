// A scan on a canvas, with a field framed on it: it can be zoomed and moved by keys, wheel and pointer.

const STEP = 60; // pixels that an arrow key moves the scan
const AROUND = 4; // widths of a field that are seen at first

/** Make a view on a canvas: show(bitmap, corners), clear(), fit(), zoom(times), pan(right, down). */
export function scan(canvas) {
  const context = canvas.getContext("2d");
  let picture = null;
  let frame = [];
  let [scale, left, top] = [1, 0, 0]; // of the picture on the canvas, in CSS pixels

  function draw() {
    const { clientWidth: width, clientHeight: height } = canvas;
    const dense = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * dense)) canvas.width = Math.round(width * dense);
    if (canvas.height !== Math.round(height * dense)) canvas.height = Math.round(height * dense);
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!picture) return;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, left, top, picture.width * scale, picture.height * scale);
    if (!frame.length) return;
    context.beginPath();
    for (const [x, y] of frame) context.lineTo(left + x * scale, top + y * scale);
    context.closePath();
    Object.assign(context, { lineWidth: 3, strokeStyle: getComputedStyle(canvas).color, lineJoin: "round" });
    context.stroke();
  }

  function middle() {
    const [xs, ys] = [0, 1].map((axis) => frame.map((point) => point[axis]));
    const ends = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    return { x: (ends[0] + ends[1]) / 2, y: (ends[2] + ends[3]) / 2, wide: ends[1] - ends[0] };
  }

  /** Centre a point of the picture. */
  function centre(x, y) {
    left = canvas.clientWidth / 2 - x * scale;
    top = canvas.clientHeight / 2 - y * scale;
    draw();
  }

  function fit() {
    if (!picture) return;
    scale = Math.min(canvas.clientWidth / picture.width, canvas.clientHeight / picture.height);
    centre(picture.width / 2, picture.height / 2);
  }

  function zoom(times, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
    const to = Math.min(Math.max(scale * times, 0.05), 12);
    left = x - ((x - left) * to) / scale;
    top = y - ((y - top) * to) / scale;
    scale = to;
    draw();
  }

  function pan(right, down, step = STEP) {
    left += right * step;
    top += down * step;
    draw();
  }

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.15 : 0.87, event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) pan(event.movementX, event.movementY, 1);
  });
  new ResizeObserver(draw).observe(canvas);
  addEventListener("themechange", draw);

  return {
    fit,
    zoom,
    pan,
    clear() {
      picture = null;
      draw();
    },
    show(bitmap, corners) {
      [picture, frame] = [bitmap, corners];
      const { x, y, wide } = middle();
      const whole = canvas.clientWidth / picture.width;
      scale = Math.max(whole, Math.min(canvas.clientWidth / (AROUND * wide), 4 * whole));
      centre(x, y);
    },
  };
}
