//! Files, threads, processes, sockets and timers, with Rust's standard library.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, thread};

fn main() -> std::io::Result<()> {
    let dir = env::temp_dir().join(format!("demo-{}", std::process::id()));
    fs::create_dir_all(dir.join("a/b"))?;
    fs::write(dir.join("a/f"), vec![0u8; 1 << 16])?;
    fs::copy(dir.join("a/f"), dir.join("a/g"))?;
    fs::rename(dir.join("a/g"), dir.join("a/h"))?;
    assert_eq!(fs::read_dir(dir.join("a"))?.count(), 3);
    fs::remove_dir_all(&dir)?;

    let (tx, rx) = mpsc::channel();
    for i in 0..8 {
        let tx = tx.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(1));
            tx.send(i).unwrap();
        });
    }
    drop(tx);
    assert_eq!(rx.iter().sum::<i32>(), 28);
    assert!(rx.recv_timeout(Duration::from_millis(1)).is_err());

    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().unwrap().write_all(b"in")?;
    assert_eq!(child.wait_with_output()?.stdout, b"in");

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || listener.accept().unwrap().0.write_all(b"hello").unwrap());
    let mut text = String::new();
    TcpStream::connect(address)?.read_to_string(&mut text)?;
    server.join().unwrap();
    assert_eq!(text, "hello");
    UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", address)?;
    let (mut a, mut b) = UnixStream::pair()?;
    a.write_all(b"x")?;
    b.read_exact(&mut [0])?;
    "localhost:80".to_socket_addrs()?.count();
    thread::available_parallelism()?;
    println!("ok");
    Ok(())
}
