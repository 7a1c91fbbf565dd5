"use strict";
// What `Preprocessing.transform()` does with a file, rule "crop", and `PlanarGroup.act(..., circular=True)` with the result.
const preprocessing = (() => {
  async function pixels(file) {
    const bitmap = await createImageBitmap(file, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
    const found = fromBitmap(bitmap, 0, 0, bitmap.width, bitmap.height);
    const isOpaque = found.levels.every((level, i) => i % 4 !== 3 || level === 255);
    return isOpaque ? found : (unrounded(bitmap) ?? found);
  }

  // A canvas rounds the colours of transparent pixels with their opacity; a texture keeps them. Null if there is none as large.
  function unrounded(bitmap) {
    const { width, height } = bitmap;
    const gl = new OffscreenCanvas(1, 1).getContext("webgl");
    if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
    const levels = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, levels);
    return gl.getError() === gl.NO_ERROR ? { width, height, levels } : null;
  }

  function fromBitmap(bitmap, left, top, width, height) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
    return { width, height, levels: context.getImageData(0, 0, width, height).data };
  }

  // Three planes in [0, 1], on white where they are transparent.
  function planes({ width, height, levels }) {
    const found = [0, 1, 2].map(() => new Float64Array(width * height));
    for (let i = 0; i < width * height; i++) {
      const opacity = levels[4 * i + 3] / 255;
      for (let c = 0; c < 3; c++) found[c][i] = Math.fround((levels[4 * i + c] / 255) * opacity + (1 - opacity));
    }
    return found;
  }

  const halfEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

  // PIL's bilinear weights of `count` pixels, of what lies between two places of `size` pixels.
  function weights(size, start, end, count) {
    const scale = (end - start) / count;
    const wide = Math.max(scale, 1);
    return Array.from({ length: count }, (_, place) => {
      const centre = start + (place + 0.5) * scale;
      const first = Math.max(Math.trunc(centre - wide + 0.5), 0);
      const last = Math.min(Math.trunc(centre + wide + 0.5), size);
      const found = [];
      for (let x = first; x < last; x++) found.push(Math.max(0, 1 - Math.abs((x - centre + 0.5) / wide)));
      const total = found.reduce((sum, one) => sum + one, 0);
      return { first, found: found.map((one) => one / total) };
    });
  }

  function resized(plane, width, height, box, outWidth, outHeight) {
    const across = weights(width, box.left, width - box.left, outWidth);
    const down = weights(height, box.top, height - box.top, outHeight);
    const wide = new Float32Array(outWidth * height);
    for (let y = 0; y < height; y++) {
      across.forEach(({ first, found }, x) => {
        wide[y * outWidth + x] = found.reduce((sum, weight, i) => sum + weight * plane[y * width + first + i], 0);
      });
    }
    const out = new Float32Array(outWidth * outHeight);
    down.forEach(({ first, found }, y) => {
      for (let x = 0; x < outWidth; x++) {
        out[y * outWidth + x] = found.reduce((sum, weight, i) => sum + weight * wide[(first + i) * outWidth + x], 0);
      }
    });
    return out;
  }

  // The network's input (3, height, width) of a picture: the largest part in the middle of its proportions, normalised.
  function transform(picture, { size: [outHeight, outWidth], mean, deviation }) {
    const { width, height } = picture;
    const scale = Math.max(outHeight / height, outWidth / width);
    const margin = (old, out) => halfEven(((old - out / scale) / 2) * 64) / 64;
    const box = { left: margin(width, outWidth), top: margin(height, outHeight) };
    const input = new Float32Array(3 * outHeight * outWidth);
    planes(picture).forEach((plane, c) => {
      const found = resized(plane, width, height, box, outWidth, outHeight);
      found.forEach((value, i) => {
        input[c * found.length + i] = (Math.min(Math.max(value, 0), 1) - mean[c]) / deviation[c];
      });
    });
    return input;
  }

  // Turned counter-clockwise about the centre, zero outside the inscribed circle; by quarters pixels are permuted.
  function turned(input, side, degrees) {
    const quarter = degrees % 90 === 0;
    const angle = (degrees * Math.PI) / 180;
    const [cos, sin] = quarter ? [[1, 0], [0, 1], [-1, 0], [0, -1]][(degrees / 90) % 4] : [Math.cos(angle), Math.sin(angle)];
    const centre = (side - 1) / 2;
    const out = new Float32Array(input.length);
    const at = (c, y, x) => (y < 0 || x < 0 || y >= side || x >= side ? 0 : input[(c * side + y) * side + x]);
    for (let i = 0; i < side; i++) {
      for (let j = 0; j < side; j++) {
        const [y, x] = [i - centre, j - centre];
        if (x * x + y * y > (side / 2) ** 2) continue;
        const [row, column] = [sin * x + cos * y + centre, cos * x - sin * y + centre];
        const [top, left] = [Math.floor(row), Math.floor(column)];
        const [down, across] = [row - top, column - left];
        for (let c = 0; c < input.length / side / side; c++) {
          out[(c * side + i) * side + j] =
            (1 - down) * ((1 - across) * at(c, top, left) + across * at(c, top, left + 1)) +
            down * ((1 - across) * at(c, top + 1, left) + across * at(c, top + 1, left + 1));
        }
      }
    }
    return out;
  }

  return { pixels, fromBitmap, transform, turned };
})();
